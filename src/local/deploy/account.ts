import { stripVTControlCharacters } from 'node:util';
import { withoutSecrets } from '../../config.ts';
import { callWrangler, type Outcome, wranglerEnv } from '../runtime/wrangler.ts';
import type { Environment } from '../settings.ts';

/** More about one command. */
export interface CommandOptions {
  /** The condition under which a real run runs the command; absent where it always does. */
  when?: string;
  /** Its standard input, for a value that neither command line nor output may show. */
  input?: string;
}

/** An account that answers wrangler's commands: a real one, or an imagined one in a dry run. */
export interface Account {
  run(words: readonly string[], given?: CommandOptions): Promise<Outcome>;
  /** Sets the account of all later commands. */
  choose(accountId: string): void;
}

/** Shown in a dry run in place of the database's id. */
const DATABASE_ID_SHOWN = '<the id that d1 list shows>';

/** A Cloudflare account, through wrangler with the environment's login. Answers have secrets replaced by `(hidden)`. */
export function openAccount(options: {
  env: Environment;
  project: string;
  /** The folder of wrangler's logs. */
  stateDir: string;
  secrets: readonly string[];
  program?: string;
  signal?: AbortSignal;
}): Account {
  const { env, project, stateDir, secrets, program, signal } = options;
  const hidden = [...secrets, env.CLOUDFLARE_API_TOKEN ?? '', env.CLOUDFLARE_API_KEY ?? ''];
  const hide = (text: string) => withoutSecrets(stripVTControlCharacters(text), hidden, '(hidden)');
  let chosen: Environment = {};
  return {
    // Without it wrangler takes the account it remembers, which may be that of another login.
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

/** An imagined empty account where every command succeeds: each command is written, and none is run. */
export function dryAccount(write: (line: string) => void): Account {
  const databases: { name: string; uuid: string }[] = [];
  return {
    choose() {},
    async run(words, { when, input } = {}) {
      const marks = [when, input === undefined ? undefined : 'its value through standard input'].filter(Boolean);
      write(`${commandLine(words)}${marks.length > 0 ? `   # ${marks.join(', ')}` : ''}`);
      const [group, action, name = ''] = words;
      if (group === 'd1' && action === 'create') databases.push({ name, uuid: DATABASE_ID_SHOWN });
      if (group === 'd1' && action === 'list') return answer(JSON.stringify(databases));
      if (words.includes('info')) return { code: 1, output: '', errors: 'not found' };
      if (group === 'whoami') return answer(JSON.stringify({ loggedIn: true, accounts: [] }));
      return answer('[]');
    },
  };
}

/** A command as text for a shell in the project's folder. */
export function commandLine(words: readonly string[]): string {
  const quoted = words.map(word => (/^[\w./:=-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`));
  return ['npx wrangler', ...quoted].join(' ');
}

function answer(output: string): Outcome {
  return { code: 0, output, errors: '' };
}
