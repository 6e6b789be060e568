/** What becomes of one unit of text, whatever stands around it: a kind, and in the lower 16 bits a unit. */

/** The bits of the unit. */
export const UNIT = 0xffff;
/** Nothing. */
export const DROPPED = 1 << 16;
/** That depends on its neighbours, or it becomes more than one unit. */
export const NEIGHBOURS = 2 << 16;
/** The end of a word, and no part of one. */
export const CUT = 3 << 16;
/** A word of its own. */
export const ALONE = 4 << 16;
/** The beginning of a word. */
export const STARTS = 5 << 16;
/** Part of a word. The highest kind. */
export const WORD = 8 << 16;

/** Beside a unit that a normaliser gives: spaces are put around it. */
export const SET_APART = 1 << 20;
