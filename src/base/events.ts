/** What Tenon tells its observers, through `node:diagnostics_channel`: one channel per event, free when unheard. */
import { channel } from "node:diagnostics_channel";

/** Every event with its payload. Channel names are `tenon:` plus the key. */
export interface EventMap {
  "model:loaded": { model: string; version: string; milliseconds: number; cacheHit: boolean };
  "model:unloaded": { model: string; version: string };
  "model:warning": { model: string; code: string; message: string };
  "model:crashed": { model: string; pid: number; reason: string; runs: number; stderr: string };
  "batch:done": { model: string; record: Readonly<Record<string, unknown>> };
  "engine:warning": { code: string; message: string };
  "resource:leaked": { kind: string; name: string };
  "server:listening": { url: string };
  "server:request": {
    id: string;
    /** The trace of W3C's `traceparent`, where the request has one. */
    trace?: string;
    method: string;
    path: string;
    status: number;
    milliseconds: number;
    bytesIn: number;
    bytesOut: number;
    /** Name of the API key that was shown. */
    key?: string;
    error?: string;
  };
}

export type EventName = keyof EventMap;

const channels = new Map<EventName, ReturnType<typeof channel>>();

function channelOf(name: EventName): ReturnType<typeof channel> {
  let found = channels.get(name);
  if (found === undefined) {
    found = channel(`tenon:${name}`);
    channels.set(name, found);
  }
  return found;
}

/** True when somebody listens: guard the making of expensive payloads with it. */
export function heard(name: EventName): boolean {
  return channelOf(name).hasSubscribers;
}

/** Publish an event. */
export function emit<N extends EventName>(name: N, payload: EventMap[N]): void {
  const target = channelOf(name);
  if (target.hasSubscribers) target.publish(payload);
}

/** Listen to an event; the returned function stops listening. */
export function on<N extends EventName>(name: N, listener: (payload: EventMap[N]) => void): () => void {
  const target = channelOf(name);
  const receive = (message: unknown): void => listener(message as EventMap[N]);
  target.subscribe(receive);
  return () => void target.unsubscribe(receive);
}
