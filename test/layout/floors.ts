/**
 * The import rule as data: a file imports only from floors below its own, and rooms that share a floor never import
 * each other. A room is a folder or a file. A room that has floors of its own is listed under its path; `*` is any
 * folder, or any file, that its list does not name.
 */
export const FLOORS: Record<string, string[][]> = {
  '': [
    ['src/local'],
    ['src/index.ts'],
    ['src/worker'],
    ['src/api', 'src/queues', 'src/engine', 'src/iceberg', 'src/loader'],
    ['src/sources'],
    ['src/alarm', 'src/lake', 'src/parquet', 'src/sql'],
    ['src/contract', 'src/ports'],
    ['src/config.ts', 'src/failure-policy.ts', 'src/http-headers.ts'],
    [
      'src/bytes.ts',
      'src/digest.ts',
      'src/errors.ts',
      'src/exact-json.ts',
      'src/json-depth.ts',
      'src/limits.ts',
      'src/log.ts',
      'src/time.ts',
      'schemas',
    ],
  ],
  'src/engine': [['controls'], ['engine.ts'], ['follow', 'flush', 'publish', 'audit', 'upkeep'], ['load'], ['journal']],
  'src/iceberg': [['committer'], ['rest'], ['append'], ['format'], ['errors.ts']],
  'src/lake': [['catalog'], ['object-keys.ts', 'newest.ts']],
  'src/local': [
    ['*.ts'],
    ['demo', 'deploy', 'probe'],
    ['query', 'runtime'],
    ['program.ts', 'settings.ts', 'status.ts'],
    ['source-files.ts'],
  ],
  'src/sources': [
    ['registry.ts', 'engine-source.ts', 'feeds.ts'],
    ['*/'],
    ['upstream', 'names', 'stand-in'],
    ['source.ts'],
    ['count-cursor.ts', 'jitter.ts'],
  ],
};

/** Local programs run under Node and talk to the worker over HTTP; the entry and the platform's folder are not theirs. */
const NOT_FOR_LOCAL = /^src\/(index\.ts|worker\/)/;

/** A source's stand-in and its local settings run under Node only: no file of the worker may import them. */
const NODE_ONLY = /^src\/sources\/([a-z-]+\/)?(stand-in\/|local-settings\.ts$)/;

/** Imports that the floors would allow and a rule of its own refuses. */
const REFUSED: { from: RegExp; target: RegExp }[] = [
  // The engine knows of a source what `EngineSource` says.
  { from: /^src\/engine\//, target: /^src\/sources\// },
  // A source reaches its upstream through its context only, and knows nothing of where its rows go.
  {
    from: /^src\/sources\/(?!upstream\/|names\/|stand-in\/)[a-z-]+\/(?!stand-in\/)/,
    target:
      /^src\/(sources\/upstream\/(?!json|named-hosts)|ports\/(?!change|hosts|inlet)|alarm|lake|parquet|sql|contract|log)/,
  },
  // The rewriting of a statement is a pure function of its text.
  { from: /^src\/sql\/(?!settings)/, target: /^(src\/config|schemas\/index)\.ts$/ },
];

/** What each room may import besides files of this repository; a subfolder's own entry takes the place of its parent's. */
export const PACKAGES: Record<string, RegExp[]> = {
  schemas: [/^zod$/],
  'src/config.ts': [/^zod$/],
  'src/digest.ts': [/^node:crypto$/],
  'src/api': [/^itty-router$/],
  'src/engine': [/^node:crypto$/],
  'src/iceberg': [/^node:(zlib|crypto)$/, /^zod$/],
  'src/lake': [/^zod$/],
  'src/local': [/^(?!cloudflare:)/],
  'src/parquet': [/^hyparquet-writer(\/src\/unconvert\.js)?$/, /^hyparquet$/, /^node:zlib$/],
  'src/sources': [/^zod$/],
  'src/sources/github/stand-in': [/^graphql$/, /^@octokit\/(openapi-types|graphql-schema)$/],
  'src/sources/upstream': [/^p-retry$/, /^package\.json$/, /^zod$/],
  'src/sql': [/^zod$/],
  'src/worker': [/^cloudflare:workers$/, /^node:zlib$/],
  'src/worker/loader.ts': [/^cloudflare:(workers|sockets)$/],
};

interface Imported {
  file: string;
  target: string;
  /** Packages that the folder of a source declares for itself. */
  own?: readonly string[];
}

/** Why a file may not import a target; null when it may. */
export function refusal({ file, target, own = [] }: Imported): string | null {
  if (!/^(src|schemas)\//.test(target)) return mayUse(file, target, own) ? null : 'package';
  if (file.startsWith('src/local/') && NOT_FOR_LOCAL.test(target)) return 'local';
  if (NODE_ONLY.test(target) && !NODE_ONLY.test(file) && !file.startsWith('src/local/')) return 'node-only';
  if (REFUSED.some(rule => rule.from.test(file) && rule.target.test(target))) return 'refused';
  for (const house of Object.keys(FLOORS)) {
    const from = roomOf(house, file);
    const to = roomOf(house, target);
    if (!from || !to || from.room === to.room) continue;
    if (from.floor === to.floor) return 'sideways';
    if (from.floor > to.floor) return 'up';
  }
  return null;
}

/** Whether the floors name a room for this file in each house that it is in. */
export function hasRoom(file: string): boolean {
  return Object.keys(FLOORS).every(house => !isIn(house, file) || roomOf(house, file) !== null);
}

function mayUse(file: string, target: string, own: readonly string[]): boolean {
  if (NODE_ONLY.test(file) && target.startsWith('node:')) return true;
  if (own.some(name => target === name || target.startsWith(`${name}/`))) return true;
  const rooms = Object.keys(PACKAGES).filter(room => isIn(room, file));
  const closest = rooms.sort((a, b) => b.length - a.length)[0];
  return closest !== undefined && PACKAGES[closest]!.some(pattern => pattern.test(target));
}

/** The floor (0 is the top one) and the room of a file in a house; null when it is not in it. */
function roomOf(house: string, file: string): { floor: number; room: string } | null {
  if (!isIn(house, file)) return null;
  const inside = house === '' ? file : file.slice(house.length + 1);
  const floors = FLOORS[house]!;
  for (const [floor, rooms] of floors.entries()) {
    const room = rooms.find(name => isIn(name, inside));
    if (room !== undefined) return { floor, room };
  }
  const [first = '', ...rest] = inside.split('/');
  const floor = floors.findIndex(rooms => rooms.includes(rest.length > 0 ? '*/' : '*.ts'));
  return floor < 0 ? null : { floor, room: first };
}

function isIn(room: string, file: string): boolean {
  return room === '' || file === room || file.startsWith(`${room}/`);
}
