import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';

/** The account of a stand-in for wrangler, and the commands that fail. */
export interface StandInAccount {
  loggedIn: boolean;
  accounts: { id: string; name: string }[];
  buckets: string[];
  databases: { name: string; uuid: string }[];
  queues: string[];
  secrets: string[];
  migrated: boolean;
  /** Commands that begin with one of these fail with its text. */
  failures: Record<string, string>;
  calls: { words: string[]; input: string; accountId?: string }[];
}

/** Writes a program to run in place of wrangler, and its account in the same folder. Gives the program's path. */
export function standIn(folder: string, account: Partial<StandInAccount>): string {
  const program = path.join(folder, 'wrangler.mjs');
  writeFileSync(program, PROGRAM);
  writeFileSync(path.join(folder, 'account.json'), JSON.stringify({ ...EMPTY, ...account }));
  return program;
}

/** The account after the commands so far. */
export function accountOf(folder: string): StandInAccount {
  return JSON.parse(readFileSync(path.join(folder, 'account.json'), 'utf8'));
}

/** Changes fields of the account. */
export function changeAccount(folder: string, change: Partial<StandInAccount>): void {
  writeFileSync(path.join(folder, 'account.json'), JSON.stringify({ ...accountOf(folder), ...change }));
}

const EMPTY: StandInAccount = {
  loggedIn: true,
  accounts: [{ id: 'a1', name: 'One' }],
  buckets: [],
  databases: [],
  queues: [],
  secrets: [],
  migrated: false,
  failures: {},
  calls: [],
};

/**
 * Asked for a queue, it also gives one whose name only begins with that name, as the API's filter may. Texts and codes
 * are those of wrangler 4.156.2 and of the API's answers that it prints.
 */
const PROGRAM = `
import { readFileSync, writeFileSync } from 'node:fs';
const file = new URL('account.json', import.meta.url);
const account = JSON.parse(readFileSync(file, 'utf8'));
const words = process.argv.slice(2);
const input = readFileSync(0, 'utf8');
account.calls.push({ words, input, accountId: process.env.CLOUDFLARE_ACCOUNT_ID });
const save = () => writeFileSync(file, JSON.stringify(account));
const say = text => { save(); console.log(text); process.exit(0); };
const refuse = text => { save(); console.error('\\x1b[31m✘ [ERROR]\\x1b[0m ' + text + '\\n    at stack (cli.js:1:1)\\n\\n🪵  Logs were written to "x.log"'); process.exit(1); };
const line = words.join(' ');
for (const [start, text] of Object.entries(account.failures)) if (line.startsWith(start)) refuse(text);
const config = () => readFileSync(words[words.indexOf('--config') + 1], 'utf8');
const create = (list, name, made, taken) => {
  if (list.some(one => one === name || one.name === name)) refuse(taken);
  list.push(made);
  say('Created ' + name);
};
const name = words[words.findIndex(word => word === 'create' || word === 'info') + 1];
if (line === 'whoami --json') {
  if (account.loggedIn) say(JSON.stringify({ loggedIn: true, authType: 'OAuth Token', accounts: account.accounts }));
  save();
  console.log(JSON.stringify({ loggedIn: false }));
  process.exit(1);
}
if (line.startsWith('r2 bucket info'))
  account.buckets.includes(name) ? say('{"name":"' + name + '"}') : refuse('The specified bucket does not exist. [code: 10006]');
if (line.startsWith('r2 bucket create'))
  create(account.buckets, name, name, 'The bucket you tried to create already exists, and you own it. [code: 10004]');
if (line === 'd1 list --json') say('\\n▲ [WARNING] Processing wrangler.jsonc configuration:\\n\\n' + JSON.stringify(account.databases, null, 2));
if (line.startsWith('d1 create'))
  create(account.databases, name, { name, uuid: 'id-of-' + name }, 'A database with that name already exists');
if (line.startsWith('queues info')) {
  const found = account.queues.find(queue => queue === name) ?? account.queues.find(queue => queue.startsWith(name));
  found ? say('Queue Name: ' + found + '\\nQueue ID: q1') : refuse('Queue "' + name + '" does not exist.');
}
if (line.startsWith('queues create'))
  create(account.queues, name, name, "Queue name '" + name + "' is already taken. Please use a different name and try again. [code: 11009]");
if (line.startsWith('d1 migrations apply')) {
  config();
  if (account.migrated) say('✅ No migrations to apply!');
  account.migrated = true;
  say('0001_operational_tables.sql ✅');
}
if (line.startsWith('deploy')) say('Uploaded ' + JSON.parse(config()).name + '\\n  https://tributary.example.workers.dev\\n  schedule: * * * * *');
if (line.startsWith('secret list')) say(JSON.stringify(account.secrets.map(secret => ({ name: secret, type: 'secret_text' }))));
if (line.startsWith('secret put')) {
  if (!account.secrets.includes(words[2])) account.secrets.push(words[2]);
  say('✨ Success! Uploaded secret ' + words[2]);
}
refuse('Unknown arguments: ' + line);
`;
