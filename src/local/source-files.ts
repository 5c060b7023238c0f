import { existsSync } from 'node:fs';
import path from 'node:path';
import type { Demo } from '../sources/stand-in/demo.ts';
import type { Examples } from '../sources/stand-in/examples.ts';

export type Environment = Record<string, string | undefined>;

/** Settings of a source that the user's own configuration of this machine gives, where the environment gives none. */
export type LocalSettings = (env: Environment) => Record<string, string>;

const SOURCES_DIR = path.resolve(import.meta.dirname, '../sources');

/** The demo of a source, `stand-in/demo.ts` in its folder; null when it has none. */
export async function demoOf(id: string): Promise<Demo | null> {
  if (!existsSync(path.join(SOURCES_DIR, id, 'stand-in/demo.ts'))) return null;
  return (await import(`../sources/${id}/stand-in/demo.ts`)).demo;
}

/** What a probe asks for, `stand-in/examples.ts` in the source's folder; null when it has none. */
export async function examplesOf(id: string): Promise<Examples | null> {
  if (!existsSync(path.join(SOURCES_DIR, id, 'stand-in/examples.ts'))) return null;
  return (await import(`../sources/${id}/stand-in/examples.ts`)).examples;
}

/** What finds local settings of a source, `local-settings.ts` in its folder; null when it has none. */
export async function localSettingsOf(id: string): Promise<LocalSettings | null> {
  if (!existsSync(path.join(SOURCES_DIR, id, 'local-settings.ts'))) return null;
  return (await import(`../sources/${id}/local-settings.ts`)).localSettings;
}
