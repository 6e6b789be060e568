/** How the server knows what a front hands on. */

/** Last header of a request that is handed on: secret, headers that it came with, HTTP version, whether it is late, address of the client. */
export const INNER_HEADER = "x-tenon-front";
