/** SharedMemory: regions of POSIX shared memory that clients on the same machine name in place of bytes. */
import { closeSync, constants, fstatSync, openSync, readSync, writeSync } from "node:fs";
import { TenonError } from "../base/index.js";
import { countParameter, type Parameters } from "./oip/request-parameters.js";

/** Where a tensor lies: a region's name, and a place in it. */
export interface SharedPlace {
  readonly region: string;
  readonly offset: number;
  readonly size: number;
}

/** A region as it was registered. */
/** A region as it is told to clients. */
export interface Region {
  readonly name: string;
  readonly key: string;
  readonly offset: number;
  readonly byte_size: number;
}

interface OpenRegion extends Region {
  readonly fd: number;
}

/** POSIX names are files here, on Linux. */
const FOLDER = "/dev/shm";
const KEY = /^[A-Za-z0-9_-][A-Za-z0-9._-]{0,200}$/;
const MOST_REGIONS = 1024;

export class SharedMemory {
  readonly enabled: boolean;
  readonly #regions = new Map<string, OpenRegion>();

  constructor(enabled: boolean) {
    this.enabled = enabled;
  }

  /** Opens the memory of `key`. Throws REQUEST_INVALID when that is none, or smaller than is said. */
  register(name: string, key: string, offset: number, byteSize: number): void {
    this.#assertEnabled();
    if (name === "" || name.length > 256) throw invalid("a shared memory region needs a name");
    if (this.#regions.has(name)) throw invalid(`shared memory region '${name}' already in manager`);
    if (this.#regions.size >= MOST_REGIONS)
      throw invalid(`more than ${MOST_REGIONS} shared memory regions are registered`);
    const unable = invalid(`Unable to open shared memory region: '${key.slice(0, 128)}'`);
    const file = key.replace(/^\//, "");
    if (!KEY.test(file)) throw unable;
    let fd: number;
    try {
      fd = openSync(`${FOLDER}/${file}`, constants.O_RDWR | constants.O_NOFOLLOW | constants.O_NONBLOCK);
    } catch {
      throw unable;
    }
    const found = fstatSync(fd);
    if (!found.isFile() || offset + byteSize > found.size) {
      closeSync(fd);
      throw found.isFile()
        ? invalid(
            `failed to register shared memory region '${name}': it ends behind the ${found.size} bytes of '${file}'`,
          )
        : unable;
    }
    this.#regions.set(name, { name, key, offset, byte_size: byteSize, fd });
  }

  /** Forgets a region, or all of them. What is not there is nothing to do. */
  unregister(name?: string): void {
    for (const region of [...this.#regions.values()]) {
      if (name !== undefined && region.name !== name) continue;
      this.#regions.delete(region.name);
      closeSync(region.fd);
    }
  }

  /** A region, or all. Throws REQUEST_NOT_FOUND. */
  status(name?: string): readonly Region[] {
    const regions = [...this.#regions.values()].filter(
      (region) => name === undefined || region.name === name,
    );
    if (name !== undefined && regions.length === 0) {
      throw notFound(`Unable to find system shared memory region: '${name.slice(0, 256)}'`);
    }
    return regions.map(({ fd: _, ...region }) => region);
  }

  /** A copy of the bytes: the client may write on. Throws REQUEST_NOT_FOUND or REQUEST_INVALID. */
  read(place: SharedPlace): Buffer {
    const { fd, offset } = this.#find(place);
    const bytes = Buffer.allocUnsafeSlow(place.size);
    let at = 0;
    while (at < bytes.length) {
      const count = readSync(fd, bytes, at, bytes.length - at, offset + place.offset + at);
      if (count === 0) throw invalid(`shared memory region '${place.region}' has become smaller`);
      at += count;
    }
    return bytes;
  }

  /** Writes an output. Throws REQUEST_NOT_FOUND, or REQUEST_INVALID when its place is too small. */
  write(place: SharedPlace, bytes: Uint8Array, output: string): void {
    const { fd, offset } = this.#find(place);
    if (bytes.length > place.size) {
      throw invalid(
        `shared memory size specified with the request for output '${output}' (${place.size} bytes) should be at least ${bytes.length} bytes to hold the results`,
      );
    }
    let at = 0;
    while (at < bytes.length) {
      at += writeSync(fd, bytes, at, bytes.length - at, offset + place.offset + at);
    }
  }

  #find({ region, offset, size }: SharedPlace): OpenRegion {
    this.#assertEnabled();
    const found = this.#regions.get(region);
    if (found === undefined) {
      throw notFound(`Unable to find shared memory region: '${region.slice(0, 256)}'`);
    }
    if (offset + size > found.byte_size) {
      throw invalid(
        `Invalid offset + byte size for shared memory region: '${region}' has ${found.byte_size} bytes, ${offset + size} are asked for`,
      );
    }
    return found;
  }

  #assertEnabled(): void {
    if (!this.enabled) throw noSharedMemory();
  }
}

function invalid(problem: string): TenonError {
  return new TenonError("REQUEST_INVALID", { problem });
}

function notFound(problem: string): TenonError {
  return new TenonError("REQUEST_NOT_FOUND", { problem, details: { spoken: true } });
}

export function noSharedMemory(): TenonError {
  return new TenonError("REQUEST_UNSUPPORTED", { problem: "the shared memory extension is not enabled" });
}

/** The place that the parameters of a tensor name; undefined for none. Throws REQUEST_INVALID. */
export function sharedPlace(parameters: Parameters): SharedPlace | undefined {
  const region = parameters.get("shared_memory_region");
  if (region === undefined) return undefined;
  if (typeof region !== "string") {
    throw invalid("Unable to parse 'shared_memory_region': attempt to access JSON non-string as string");
  }
  const size = countParameter(parameters, "shared_memory_byte_size");
  if (size === undefined) {
    throw invalid("'shared_memory_byte_size' must be given together with 'shared_memory_region'");
  }
  const offset = countParameter(parameters, "shared_memory_offset") ?? 0;
  if (size > MOST_BYTES || offset > MOST_BYTES) {
    throw invalid(`Invalid offset + byte size for shared memory region: '${region.slice(0, 256)}'`);
  }
  return { region, offset, size };
}

const MOST_BYTES = 2 ** 31 - 1;
