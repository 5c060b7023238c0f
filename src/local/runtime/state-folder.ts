import { randomBytes } from 'node:crypto';
import { chmodSync, lstatSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';

/** The file with the token that controls the worker, in the state folder. */
const TOKEN_FILE = 'admin-token';
/** 32 random bytes in hexadecimal digits. A file with anything else was not written here, and is replaced. */
const TOKEN = /^[0-9a-f]{64}$/;
const GROUP_AND_OTHERS = 0o077;
const STICKY = 0o1000;

/**
 * Creates a state folder where it is absent, and closes it to other users of the machine, because it holds the lake,
 * logs and secrets. Throws for a folder that many users share, such as the system's folder for temporary files.
 */
export function makeStateFolder(stateDir: string): void {
  mkdirSync(stateDir, { recursive: true, mode: 0o700 });
  const { mode } = statSync(stateDir);
  if ((mode & STICKY) !== 0)
    throw new Error(`state folder ${stateDir}: expected a folder of your own, got one that other users write to`);
  if ((mode & GROUP_AND_OTHERS) !== 0) chmodSync(stateDir, 0o700);
}

/** Where a state folder keeps the token that controls its worker. */
export function tokenPath(stateDir: string): string {
  return path.join(stateDir, TOKEN_FILE);
}

/**
 * The token that the state folder keeps for controlling its worker. It is made at the first call, and again when the
 * file is not a private one of this user.
 */
export function keptAdminToken(stateDir: string): string {
  const kept = readAdminToken(stateDir);
  if (kept !== null) return kept;
  const token = randomBytes(32).toString('hex');
  const file = tokenPath(stateDir);
  // Remove it first: a write into an existing file would keep that file's mode.
  rmSync(file, { force: true });
  writeFileSync(file, `${token}\n`, { mode: 0o600, flag: 'wx' });
  return token;
}

/** The token in the state folder; null when there is none, or when other users can read or could have written it. */
export function readAdminToken(stateDir: string): string | null {
  const file = tokenPath(stateDir);
  try {
    const found = lstatSync(file);
    if (!found.isFile() || (found.mode & GROUP_AND_OTHERS) !== 0) return null;
    const text = readFileSync(file, 'utf8').trim();
    return TOKEN.test(text) ? text : null;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
}

/** Removes the token of a state folder whose worker takes another one, so that no program sends a wrong token. */
export function forgetAdminToken(stateDir: string): void {
  rmSync(tokenPath(stateDir), { force: true });
}
