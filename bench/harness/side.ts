/** A side of a comparison: what it sets up in its own process, and the messages between that process and the bench. */

/** Numbers that one measurement gave, by name; the unit is the end of the name. */
export type Sample = Readonly<Record<string, number>>;

/** Plain settings that travel to a side's process. */
export type Settings = Readonly<Record<string, string | number | boolean>>;

/** What runs in a side's own process: set up once, then measured in turn with the other sides. */
export interface Side {
  /** Facts that the bench needs before it measures, such as a port. */
  readonly facts?: Sample;
  /** One measurement. The process adds `wallMs` and `cpuMs` (all of its threads) where the side does not set them. */
  measure(settings: Settings): Promise<Sample>;
  close(): Promise<void>;
}

export type MakeSide = (settings: Settings) => Promise<Side>;

/** What a module with sides exports as `sides`. */
export type Sides = Readonly<Record<string, MakeSide>>;

export type ToSide = { readonly kind: "measure"; readonly settings: Settings } | { readonly kind: "close" };

export type FromSide =
  | { readonly kind: "ready"; readonly facts: Sample }
  | { readonly kind: "sample"; readonly sample: Sample }
  | { readonly kind: "failed"; readonly problem: string };

export function numberSetting(settings: Settings, name: string): number {
  const value = settings[name];
  if (typeof value !== "number") throw new Error(`the side needs the number "${name}"`);
  return value;
}

export function textSetting(settings: Settings, name: string): string {
  const value = settings[name];
  if (typeof value !== "string") throw new Error(`the side needs the text "${name}"`);
  return value;
}
