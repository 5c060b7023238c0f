import { randomUUID } from 'node:crypto';
import { mkdirSync, readdirSync, rmSync } from 'node:fs';
import path from 'node:path';

/** A folder for what one query writes to disk. */
export interface TempFolder {
  path: string;
  remove(): void;
}

/** Makes a folder for one query below a folder of this user, and removes those of processes that have ended. */
export function makeTempFolder(parent: string): TempFolder {
  mkdirSync(parent, { recursive: true, mode: 0o700 });
  for (const name of readdirSync(parent)) {
    if (!isRunning(Number(name.split('-')[0]))) rmSync(path.join(parent, name), { recursive: true, force: true });
  }
  const folder = path.join(parent, `${process.pid}-${randomUUID()}`);
  mkdirSync(folder, { mode: 0o700 });
  return { path: folder, remove: () => rmSync(folder, { recursive: true, force: true }) };
}

/** Whether a process has this id. Signal 0 only asks. */
function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
