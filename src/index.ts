export { TenonError } from "./base/index.js";
