/** The end of an answer to a request whose body is not read: not before the client had a second to notice. */
import type { IncomingMessage, ServerResponse } from "node:http";

/** Ends `res`, whose body is written, when the client has sent its own or a second is over: closing on unread bytes would lose the answer. */
export function endWhenRead(req: IncomingMessage, res: ServerResponse): void {
  const timer = setTimeout(finish, 1000).unref();
  function finish(): void {
    clearTimeout(timer);
    if (!res.writableEnded) res.end();
  }
  req.once("end", finish);
  req.resume();
}
