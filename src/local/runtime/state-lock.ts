import { linkSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { findProcess, killRuntimeGroup } from './processes.ts';

/** Who runs on a state folder: the program that holds it, the port, and the process group of its runtime. */
export interface Holder {
  pid: number;
  started: string;
  port: number;
  group: number | null;
}

/** A state folder held by this process. */
export interface StateLock {
  /** Writes down the process group of the runtime, so that a later start finds it should this process be killed. */
  setGroup(group: number): void;
  release(): void;
}

const FILE = 'runtime.json';

/** Who runs on a state folder now; null when nobody does. A note of a process that is gone does not count. */
export function holderOf(stateDir: string): Holder | null {
  const holder = readHolder(path.join(stateDir, FILE));
  return holder !== null && isAlive(holder) ? holder : null;
}

/**
 * Takes a state folder for this process; the folder must exist. A note left by a process that is gone is replaced, and
 * what is left of its runtime is ended. Throws when a living process holds the folder.
 */
export function lockState(stateDir: string, port: number): StateLock {
  const file = path.join(stateDir, FILE);
  const mine: Holder = { pid: process.pid, started: findProcess(process.pid)?.started ?? '', port, group: null };
  const draft = `${file}.${process.pid}`;
  writeFileSync(draft, JSON.stringify(mine));
  try {
    while (!linkIfAbsent(draft, file)) removeStale(file, stateDir);
  } finally {
    rmSync(draft, { force: true });
  }
  return {
    setGroup(group) {
      writeFileSync(draft, JSON.stringify({ ...mine, group }));
      renameSync(draft, file);
    },
    release() {
      if (readHolder(file)?.pid === process.pid) rmSync(file, { force: true });
    },
  };
}

/** The note appears whole or not at all, and never replaces another. */
function linkIfAbsent(draft: string, file: string): boolean {
  try {
    linkSync(draft, file);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  }
}

function removeStale(file: string, stateDir: string): void {
  const holder = readHolder(file);
  if (holder !== null && isAlive(holder)) {
    throw new Error(
      `state folder ${stateDir}: expected to be free, got process ${holder.pid} running on it (port ${holder.port})`,
    );
  }
  // Moved aside first: of two that find the same stale note only one gets it, and one that got a new note puts it back.
  const aside = `${file}.${process.pid}.stale`;
  try {
    renameSync(file, aside);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return;
    throw error;
  }
  const moved = readHolder(aside);
  if (moved !== null && isAlive(moved)) linkIfAbsent(aside, file);
  else if (moved?.group) killRuntimeGroup(moved.group);
  rmSync(aside, { force: true });
}

function isAlive(holder: Holder): boolean {
  return findProcess(holder.pid)?.started === holder.started;
}

function readHolder(file: string): Holder | null {
  try {
    return JSON.parse(readFileSync(file, 'utf8')) as Holder;
  } catch {
    return null;
  }
}
