/** The few functions of the C library that processes share memory and limit themselves with; Linux and macOS. */
import { closeSync, ftruncateSync, openSync, unlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { TenonError } from "../../base/index.js";
import { loadKoffi } from "../ort/koffi.js";

/** Values of the C headers; those that differ between the platforms are chosen where they are used. */
const PROT_READ_WRITE = 3;
const MAP_SHARED = 1;
const MAP_PRIVATE_FIXED = 0x12;
const MAP_ANONYMOUS = process.platform === "darwin" ? 0x1000 : 0x20;
const MAP_NORESERVE = process.platform === "darwin" ? 0x40 : 0x4000;
const MADV_REMOVE = 9;
const MFD_CLOEXEC = 1;
const PR_SET_PDEATHSIG = 1;
const RLIMIT_CORE = 4;
const RLIMIT_AS = 9;
const SIGKILL = 9;
/** A cpu_set_t. */
const CPU_SET_BYTES = 128;

/** Memory that two processes see; `buffer` stays readable for ever, also after `unmap` (it then reads as zeros). */
export interface Mapping {
  readonly buffer: ArrayBuffer;
  /** Gives the pages of a page-aligned range back; they read as zeros. Does nothing where the system cannot. */
  discard(offset: number, bytes: number): void;
  unmap(): void;
}

export interface LibC {
  /** Descriptor of nameless memory of this size; the caller closes it. */
  createMemory(bytes: number): number;
  map(fd: number, bytes: number): Mapping;
  /** Largest address space of this process from now on. Linux only. */
  limitAddressSpace(bytes: number): void;
  /** No core dumps, and SIGKILL when the parent dies. Linux only; elsewhere nothing. */
  tieToParent(): void;
  /** The core that this thread runs on; -1 where that is unknown. */
  cpu(): number;
  /** Moves this thread to another of the cores that it may use, and lets it use all of them again. Linux only; elsewhere nothing. */
  leaveCpu(cpu: number): void;
}

/** Whether models can run in processes of their own here. */
export function canShareMemory(): boolean {
  return process.platform === "linux" || process.platform === "darwin";
}

let loading: Promise<LibC> | undefined;

/** Throws ENGINE_LIBRARY where the C library cannot be called. */
export function libc(): Promise<LibC> {
  loading ??= load();
  return loading;
}

async function load(): Promise<LibC> {
  const koffi = await loadKoffi();
  const linux = process.platform === "linux";
  const library = koffi.load(linux ? "libc.so.6" : "libSystem.B.dylib");
  keep.push(library);
  const mmap = library.func(
    "void *mmap(void *address, size_t length, int prot, int flags, int fd, int64_t at)",
  );
  const munmap = library.func("int munmap(void *address, size_t length)");
  const madvise = library.func("int madvise(void *address, size_t length, int advice)");
  const getcpu = linux ? library.func("int sched_getcpu()") : undefined;
  const affinity = (which: "get" | "set", mask: Uint8Array): boolean =>
    (library.func(`int sched_${which}affinity(int thread, size_t bytes, void *mask)`)(
      0,
      mask.length,
      koffi.address(mask),
    ) as number) >= 0;
  const failed = (what: string): TenonError =>
    new TenonError("ENGINE_LIBRARY", { problem: `${what} failed`, given: `errno ${koffi.errno()}` });

  const mapped = (address: bigint | null, fd: number, flags: number, bytes: number): bigint => {
    const result = mmap(address, bytes, PROT_READ_WRITE, flags, fd, 0) as bigint | null;
    if (result === null || BigInt.asIntN(64, result) === -1n) throw failed("mapping shared memory");
    return result;
  };
  const released = new FinalizationRegistry<{ address: bigint; bytes: number }>(({ address, bytes }) => {
    munmap(address, bytes);
  });

  return {
    createMemory(bytes) {
      let fd: number;
      if (linux) {
        fd = library.func("int memfd_create(str name, unsigned int flags)")("tenon", MFD_CLOEXEC) as number;
        if (fd < 0) throw failed("creating shared memory");
      } else {
        const path = join(tmpdir(), `tenon-${process.pid}-${Math.random().toString(36).slice(2)}`);
        fd = openSync(path, "wx+", 0o600);
        unlinkSync(path);
      }
      try {
        ftruncateSync(fd, bytes);
      } catch (error) {
        closeSync(fd);
        throw error;
      }
      return fd;
    },

    map(fd, bytes) {
      const address = mapped(null, fd, MAP_SHARED, bytes);
      const buffer = koffi.view(address, bytes);
      let live = true;
      return {
        buffer,
        discard(offset, length) {
          if (live && linux) madvise(address + BigInt(offset), length, MADV_REMOVE);
        },
        unmap() {
          if (!live) return;
          live = false;
          // Views may still be in the hands of users: the range stays readable until the last of them is collected.
          mapped(address, -1, MAP_PRIVATE_FIXED | MAP_ANONYMOUS | MAP_NORESERVE, bytes);
          released.register(buffer, { address, bytes });
        },
      };
    },

    limitAddressSpace(bytes) {
      if (!linux) return;
      const limit = BigUint64Array.of(BigInt(bytes), 0xffff_ffff_ffff_ffffn);
      const set = library.func("int setrlimit(int resource, void *limit)");
      if ((set(RLIMIT_AS, koffi.address(limit)) as number) !== 0) throw failed("limiting the address space");
    },

    tieToParent() {
      if (!linux) return;
      const set = library.func("int setrlimit(int resource, void *limit)");
      set(RLIMIT_CORE, koffi.address(BigUint64Array.of(0n, 0n)));
      const prctl = library.func(
        "int prctl(int option, unsigned long a, unsigned long b, unsigned long c, unsigned long d)",
      );
      prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    },

    cpu: () => (getcpu === undefined ? -1 : (getcpu() as number)),

    leaveCpu(cpu) {
      const mask = new Uint8Array(CPU_SET_BYTES);
      if (!linux || cpu < 0 || cpu >= 8 * mask.length || !affinity("get", mask)) return;
      const others = mask.slice();
      others[cpu >> 3]! &= ~(1 << (cpu & 7));
      if (others.every((byte) => byte === 0) || !affinity("set", others)) return;
      affinity("set", mask);
    },
  };
}

/** Handles that must never be collected: a collected handle unloads the library. */
const keep: unknown[] = [];
