/** URLs of queues as they may be printed. */

/** The URL without its password. */
export function withoutSecrets(url: string): string {
  return url.replace(/^([a-z]+:\/\/[^:@/]*):[^@]*@/, "$1:…@").slice(0, 200);
}
