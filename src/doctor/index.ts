/** tenon/doctor: what a running process reports about itself, gathered as advice. */
export { type Advice, type Watch, watch } from "./watch.js";
