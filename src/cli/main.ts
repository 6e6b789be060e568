#!/usr/bin/env node
/** The tenon command: one file per verb, composed here. */
export {};
