import { chmodSync, existsSync, mkdirSync, mkdtempSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { newS3Keys } from '../../src/local/runtime/s3-keys.ts';
import {
  forgetAdminToken,
  keptAdminToken,
  makeStateFolder,
  readAdminToken,
  tokenPath,
} from '../../src/local/runtime/state-folder.ts';
import { lockState } from '../../src/local/runtime/state-lock.ts';

let folder: string;

beforeAll(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'state-'));
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

const modeOf = (file: string) => statSync(file).mode & 0o777;

function newFolder(name: string): string {
  const stateDir = path.join(folder, name);
  makeStateFolder(stateDir);
  return stateDir;
}

describe('a state folder', () => {
  it('is made for its user only, with its parents', () => {
    expect(modeOf(newFolder('a/b'))).toBe(0o700);
  });

  it('that other users could read is closed to them', () => {
    const stateDir = path.join(folder, 'open');
    mkdirSync(stateDir);
    chmodSync(stateDir, 0o755);
    makeStateFolder(stateDir);
    expect(modeOf(stateDir)).toBe(0o700);
  });

  it('that many users share is refused, and keeps its mode', () => {
    const stateDir = path.join(folder, 'shared');
    mkdirSync(stateDir);
    chmodSync(stateDir, 0o1777);
    expect(() => makeStateFolder(stateDir)).toThrow(
      `state folder ${stateDir}: expected a folder of your own, got one that other users write to`,
    );
    expect(statSync(stateDir).mode & 0o7777).toBe(0o1777);
  });

  it('keeps the keys of its runtime in a file of its user', async () => {
    const stateDir = newFolder('locked');
    const lock = await lockState(stateDir, 1);
    expect(modeOf(path.join(stateDir, 'runtime.json'))).toBe(0o600);
    lock.record({ s3Keys: newS3Keys() });
    expect(modeOf(path.join(stateDir, 'runtime.json'))).toBe(0o600);
    lock.release();
  });
});

describe('the token of a state folder', () => {
  it('is random, in a file of its user, and the same at the next start', () => {
    const [one, other] = [newFolder('one'), newFolder('other')];
    const token = keptAdminToken(one);
    expect(token).toMatch(/^[0-9a-f]{64}$/);
    expect(modeOf(tokenPath(one))).toBe(0o600);
    expect([keptAdminToken(one), readAdminToken(one)]).toEqual([token, token]);
    expect(keptAdminToken(other)).not.toBe(token);
  });

  it('is made anew where other users could read its file, or another program wrote it', () => {
    const stateDir = newFolder('exposed');
    const seen = new Set([keptAdminToken(stateDir)]);
    chmodSync(tokenPath(stateDir), 0o644);
    seen.add(keptAdminToken(stateDir));
    writeFileSync(tokenPath(stateDir), 'local\n');
    seen.add(keptAdminToken(stateDir));
    rmSync(tokenPath(stateDir));
    const elsewhere = path.join(folder, 'elsewhere');
    writeFileSync(elsewhere, 'a'.repeat(64), { mode: 0o600 });
    symlinkSync(elsewhere, tokenPath(stateDir));
    seen.add(keptAdminToken(stateDir));
    expect(seen.size).toBe(4);
    expect(seen.has('a'.repeat(64))).toBe(false);
    expect(modeOf(tokenPath(stateDir))).toBe(0o600);
  });

  it('is gone when the worker takes another one', () => {
    const stateDir = newFolder('given');
    keptAdminToken(stateDir);
    forgetAdminToken(stateDir);
    expect([existsSync(tokenPath(stateDir)), readAdminToken(stateDir)]).toEqual([false, null]);
  });
});
