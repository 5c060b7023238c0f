import { stripVTControlCharacters } from 'node:util';
import { callWrangler, type Outcome, wranglerEnv } from '../runtime/wrangler.ts';
import type { Environment } from '../settings.ts';

/** What goes with a command. */
export interface Given {
  /** When the command runs, where that is not always. */
  when?: string;
  /** Its standard input: what no command line and no output may show. */
  input?: string;
}

/** Whoever answers wrangler's commands: Cloudflare, or nobody in a dry run. */
export interface Account {
  run(words: readonly string[], given?: Given): Promise<Outcome>;
  /** Names the account that all commands from now on are about. */
  choose(accountId: string): void;
}

/** In place of the database's id where there is no database. */
const NO_ID = '<the id that d1 list shows>';

/** Cloudflare, asked through wrangler with an environment's login. No secret is in any answer. */
export function openAccount(options: {
  env: Environment;
  project: string;
  /** Where wrangler keeps its logs. */
  stateDir: string;
  secrets: readonly string[];
  program?: string;
  signal?: AbortSignal;
}): Account {
  const { env, project, stateDir, secrets, program, signal } = options;
  // The longest first: one secret can be a part of another.
  const hidden = [...secrets, env.CLOUDFLARE_API_TOKEN, env.CLOUDFLARE_API_KEY].filter(secret => Boolean(secret));
  const ordered = (hidden as string[]).sort((a, b) => b.length - a.length);
  const hide = (text: string) =>
    ordered.reduce((rest, secret) => rest.replaceAll(secret, '(hidden)'), stripVTControlCharacters(text));
  let chosen: Environment = {};
  return {
    // Otherwise wrangler takes the one it remembers, which may be that of another login.
    choose(accountId) {
      chosen = { CLOUDFLARE_ACCOUNT_ID: accountId };
    },
    async run(words, { input = '' } = {}) {
      const { code, output, errors } = await callWrangler(words, {
        env: { ...wranglerEnv(stateDir, { env, login: true }), ...chosen },
        folder: project,
        input,
        ...(program !== undefined && { program }),
        ...(signal && { signal }),
      });
      return { code, output: hide(output), errors: hide(errors) };
    },
  };
}

/** An account that holds nothing yet and takes everything: each command is told, and none is run. */
export function dryAccount(write: (line: string) => void): Account {
  const databases: { name: string; uuid: string }[] = [];
  return {
    choose() {},
    async run(words, { when, input } = {}) {
      const marks = [when, input === undefined ? undefined : 'its value through standard input'].filter(Boolean);
      write(`${commandLine(words)}${marks.length > 0 ? `   # ${marks.join(', ')}` : ''}`);
      const [group, action, name = ''] = words;
      if (group === 'd1' && action === 'create') databases.push({ name, uuid: NO_ID });
      if (group === 'd1' && action === 'list') return answer(JSON.stringify(databases));
      if (words.includes('info')) return { code: 1, output: '', errors: 'not found' };
      if (group === 'whoami') return answer(JSON.stringify({ loggedIn: true, accounts: [] }));
      return answer('[]');
    },
  };
}

/** A command as a person can give it to a shell, in the project's folder. */
export function commandLine(words: readonly string[]): string {
  const quoted = words.map(word => (/^[\w./:=-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`));
  return ['npx wrangler', ...quoted].join(' ');
}

function answer(output: string): Outcome {
  return { code: 0, output, errors: '' };
}
