import { readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { SOURCES } from '../../src/sources/registry.ts';
import { type Import, listFiles, type ParsedFile, parse, ROOT, readText } from './code.ts';
import { hasRoom, refusal } from './floors.ts';

/** Everything at the top level, besides dotfiles. */
const TOP_LEVEL = [
  'src',
  'test',
  'migrations',
  'schemas',
  'wrangler.jsonc',
  'package.json',
  'package-lock.json',
  'tsconfig.json',
  'README.md',
  'LICENSE',
  'CHANGELOG.md',
];

/** Bugs gather in long files: over the first number warns, over the second fails. */
const FILE_LINES_WARN = 300;
const FILE_LINES_MAX = 450;
const FUNCTION_LINES_MAX = 70;

/** Packages that one file each deals with. */
const ONE_IMPORTER = ['hyparquet-writer', 'p-retry', 'itty-router', 'punycode.js', 'tldts'];

/** What a file may not reach through all it imports, types aside. */
const OUT_OF_REACH: { from: RegExp; never: RegExp }[] = [
  { from: /^src\/(?!worker\/|index\.ts)/, never: /^cloudflare:/ },
  { from: /^src\/index\.ts$/, never: /^(src\/local\/|@duckdb\/|aws4fetch|node:(fs|net|http|child_process|sqlite))/ },
  { from: /^src\/index\.ts$/, never: /\/(stand-in\/|local-settings\.ts$)/ },
  { from: /^src\/api\//, never: /^(src\/parquet\/|hyparquet)/ },
  // The engine knows of a source what `EngineSource` says, whatever the floors would allow.
  { from: /^src\/engine\//, never: /^src\/sources\// },
];

/** Names of Cloudflare's that would tie a file to it, also as types. */
const CLOUDFLARE_FREE = /^(schemas|src\/(?!worker\/|index\.ts))/;
const CLOUDFLARE_NAMES =
  /^(R2(?!_SQL_)[A-Z]\w+|D1(?!Port)[A-Z]\w+|DurableObject\w*|ExecutionContext|FixedLengthStream|WorkerEntrypoint|SqlStorage\w*)$/;

/** Where SQL may be written: that of the objects, that of the operational database, and that over the lake or for others. */
const OBJECT_SQL = /^src\/(engine\/journal\/[a-z-]+|iceberg\/committer\/state|ports\/sql-guard)\.ts$/;
const D1_SQL = /^src\/engine\/(publish\/database|journal\/letters)\.ts$/;
const LAKE_SQL = /^src\/(sql\/|local\/|sources\/(pypi\/downloads|[a-z-]+\/stand-in\/demo)\.ts$)/;
const D1_TABLES = /\b(ingestion_runs|sync_state|failed_messages)\b/;
const SQL =
  /\b(SELECT\s+[\s\S]+\s+FROM\s|INSERT\s+(OR\s+\w+\s+)?INTO\s|UPDATE\s+\w+\s+SET\s|DELETE\s+FROM\s|(CREATE|DROP|ALTER)\s+(UNIQUE\s+)?(TABLE|INDEX|TRIGGER|VIEW)\s|PRAGMA\s)/;

// Put together from parts, so that this file does not hold what it searches for.
const UNFINISHED = new RegExp(
  `\\b(${['TO', 'FIX', 'XX'].map((start, n) => start + ['DO', 'ME', 'X'][n]).join('|')})\\b`,
);
const FOCUSED = new RegExp(
  `\\b(it|test|describe|suite)(\\.\\w+)*\\.(${['on', 'sk', 'to'].map((start, n) => start + ['ly', 'ip', 'do'][n]).join('|')})\\b`,
);
const REGISTRY_HOST = new RegExp(`\\b${'regis'}${'try'}\\.[a-z0-9-]+\\.[a-z]{2,}\\b`, 'i');
const MACHINE_PATH = new RegExp(
  `(?<![\\w.:/*-])(/${['work', 'home', 'root', 'Users'].join('/|/')}/|[A-Z]:\\\\)[\\w.-]`,
);
const FEED_HOSTS = new RegExp(['replicate', 'api'].map(host => `${host}\\.${'npm'}${'js'}\\.`).join('|'));

/** Upstream's own documents, and files that programs write. */
const FOREIGN = /^(test\/fixtures\/.*\.(json|txt|html)|package-lock\.json)$/;

const files = listFiles();
const code = files.filter(file => /^(src|schemas)\/.*\.ts$/.test(file) && !file.endsWith('.d.ts'));
const texts = new Map(files.map(file => [file, readText(file)] as const).filter(([, text]) => text !== null)) as Map<
  string,
  string
>;
const parsed = parse(code);

describe('the layout', () => {
  it('has nothing else at the top level', () => {
    const names = new Set(files.map(file => file.split('/')[0] ?? file));
    expect([...names].filter(name => !name.startsWith('.') && !TOP_LEVEL.includes(name))).toEqual([]);
  });

  it('has kebab-case file names, and schemas named as their tables', () => {
    const odd = code.filter(file => !/^(schemas\/[a-z_]+|src\/([a-z-]+\/)*[a-z0-9]+(-[a-z0-9]+)*)\.ts$/.test(file));
    expect(odd).toEqual([]);
  });

  it('has a floor for every file', () => {
    expect(code.filter(file => !hasRoom(file))).toEqual([]);
  });

  it('has no import that runs up or sideways', () => {
    const refused = code.flatMap(file =>
      importsOf(file).flatMap(({ target }) => {
        const why = refusal({ file, target, own: packagesOf(file) });
        return why === null ? [] : [`${file} → ${target}: ${why}`];
      }),
    );
    expect(refused).toEqual([]);
  });

  it('has no circle of imports', () => {
    expect(circles()).toEqual([]);
  });

  it('lets a source read the schemas of its own tables only', () => {
    const foreign = SOURCES.flatMap(({ id, tables }) => {
      const own = tables.map(({ name }) => `schemas/${name}.ts`);
      return code
        .filter(file => file.startsWith(`src/sources/${id}/`))
        .flatMap(file => importsOf(file).map(({ target }) => ({ file, target })))
        .filter(({ target }) => target.startsWith('schemas/') && !own.includes(target));
    });
    expect(foreign).toEqual([]);
  });

  it.each([
    ['schemas/npm_package.ts', 'src/config.ts', 'up'],
    ['schemas/npm_package.ts', 'hyparquet-writer', 'package'],
    ['src/errors.ts', 'src/failure-policy.ts', 'up'],
    ['src/config.ts', 'src/failure-policy.ts', 'sideways'],
    ['src/ports/platform.ts', 'src/contract/source.ts', 'sideways'],
    ['src/lake/object-keys.ts', 'src/engine/journal/journal.ts', 'up'],
    ['src/lake/newest.ts', 'src/lake/catalog/write.ts', 'up'],
    ['src/alarm/run.ts', 'src/parquet/encode.ts', 'sideways'],
    ['src/engine/engine.ts', 'cloudflare:workers', 'package'],
    ['src/engine/engine.ts', 'src/sources/npm/npm.ts', 'refused'],
    ['src/engine/engine.ts', 'src/sources/source.ts', 'refused'],
    ['src/engine/engine.ts', 'src/engine/controls/status.ts', 'up'],
    ['src/engine/follow/tail.ts', 'src/engine/engine.ts', 'up'],
    ['src/engine/follow/tail.ts', 'src/engine/flush/flush.ts', 'sideways'],
    ['src/engine/load/slices.ts', 'src/engine/follow/tail.ts', 'up'],
    ['src/engine/journal/journal.ts', 'src/engine/load/admission.ts', 'up'],
    ['src/iceberg/append/append.ts', 'src/engine/journal/journal.ts', 'sideways'],
    ['src/iceberg/append/append.ts', 'src/iceberg/rest/client.ts', 'up'],
    ['src/iceberg/format/manifest.ts', 'src/iceberg/append/append.ts', 'up'],
    ['src/api/router.ts', 'src/index.ts', 'up'],
    ['src/api/router.ts', 'src/queues/tickets.ts', 'sideways'],
    ['src/loader/steps.ts', 'src/api/body.ts', 'sideways'],
    ['src/loader/steps.ts', 'cloudflare:sockets', 'package'],
    ['src/worker/source-object.ts', 'src/index.ts', 'up'],
    ['src/worker/source-object.ts', 'src/sources/npm/stand-in/stand-in.ts', 'node-only'],
    ['src/worker/source-object.ts', 'cloudflare:sockets', 'package'],
    ['src/sources/npm/npm.ts', 'src/sources/npm/stand-in/feed.ts', 'node-only'],
    ['src/sources/npm/npm.ts', 'src/sources/npm/local-settings.ts', 'node-only'],
    ['src/sources/npm/npm.ts', 'src/sources/whois/facts.ts', 'sideways'],
    ['src/sources/npm/npm.ts', 'src/sources/registry.ts', 'up'],
    ['src/sources/npm/npm.ts', 'src/sources/upstream/fetcher.ts', 'refused'],
    ['src/sources/npm/npm.ts', 'src/lake/object-keys.ts', 'refused'],
    ['src/sources/npm/npm.ts', 'p-retry', 'package'],
    ['src/sources/npm/npm.ts', 'tldts', 'package'],
    ['src/sources/upstream/fetcher.ts', 'src/sources/names/domain.ts', 'sideways'],
    ['src/sql/rewrite.ts', 'schemas/index.ts', 'refused'],
    ['src/local/start.ts', 'src/index.ts', 'local'],
    ['src/local/start.ts', 'src/worker/loader.ts', 'local'],
    ['src/local/query/query.ts', 'src/local/runtime/runtime.ts', 'sideways'],
    ['src/local/sql.ts', 'cloudflare:workers', 'package'],
    ['src/api/router.ts', 'src/local/settings.ts', 'up'],
  ])('refuses %s → %s: %s', (file, target, why) => {
    expect(refusal({ file, target })).toBe(why);
  });

  it.each(ONE_IMPORTER)('has one file that imports %s', name => {
    const importers = code.filter(file =>
      importsOf(file).some(({ target, typeOnly }) => !typeOnly && isOf(target, name)),
    );
    expect(importers).toHaveLength(1);
  });

  it('reads Parquet in one folder', () => {
    const importers = code.filter(file =>
      importsOf(file).some(({ target, typeOnly }) => !typeOnly && isOf(target, 'hyparquet')),
    );
    expect(importers.filter(file => !file.startsWith('src/parquet/'))).toEqual([]);
  });

  it('keeps out of reach what must not be bundled together', () => {
    const reached = OUT_OF_REACH.flatMap(({ from, never }) =>
      code.filter(file => from.test(file)).flatMap(file => pathTo(file, never)),
    );
    expect(reached).toEqual([]);
  });

  it('names nothing of Cloudflare in what runs without it', () => {
    const named = code
      .filter(file => CLOUDFLARE_FREE.test(file))
      .flatMap(file =>
        identifiersOf(file)
          .filter(name => CLOUDFLARE_NAMES.test(name))
          .map(name => `${file}: ${name}`),
      );
    expect(named).toEqual([]);
  });

  it('has the SQL of the objects and of the database where it belongs', () => {
    const misplaced = code
      .filter(file => !LAKE_SQL.test(file))
      .flatMap(file =>
        literalsOf(file)
          .filter(text => SQL.test(text))
          .map(text => ({ file, text })),
      )
      .filter(({ file, text }) => !(D1_TABLES.test(text) ? D1_SQL : OBJECT_SQL).test(file))
      .map(({ file, text }) => `${file}: ${text.slice(0, 60)}`);
    expect(misplaced).toEqual([]);
  });
});

describe('sizes', () => {
  it(`no file is over ${FILE_LINES_MAX} lines, and those over ${FILE_LINES_WARN} are named`, () => {
    const long = code
      .map(file => ({ file, lines: linesOf(texts.get(file) ?? '') }))
      .filter(({ lines }) => lines > FILE_LINES_WARN);
    if (long.length > 0) console.warn(`over ${FILE_LINES_WARN} lines:`, ...long.map(one => `${one.file} ${one.lines}`));
    expect(long.filter(({ lines }) => lines > FILE_LINES_MAX)).toEqual([]);
  });

  it('no literal is spread to save lines', () => {
    const spread = [...parsed].flatMap(([file, { spreads }]) => spreads.map(line => `${file}:${line}`));
    expect(spread).toEqual([]);
  });

  it(`no function is over ${FUNCTION_LINES_MAX} lines`, () => {
    const long = code.flatMap(file =>
      functionsOf(file)
        .filter(({ lines }) => lines > FUNCTION_LINES_MAX)
        .map(({ line, lines }) => `${file}:${line} has ${lines} lines`),
    );
    expect(long).toEqual([]);
  });
});

describe('texts', () => {
  const found = (pattern: RegExp, which: (file: string) => boolean) =>
    [...texts].flatMap(([file, text]) =>
      which(file)
        ? text
            .split('\n')
            .flatMap((line, n) => (pattern.test(line) ? [`${file}:${n + 1}: ${line.trim().slice(0, 120)}`] : []))
        : [],
    );

  it('hold no marks of unfinished work', () => {
    expect(found(UNFINISHED, file => !FOREIGN.test(file))).toEqual([]);
  });

  it('hold no test that runs alone, or does not run', () => {
    expect(found(FOCUSED, file => file.startsWith('test/') && file.endsWith('.ts'))).toEqual([]);
  });

  it('name no host of a package registry', () => {
    expect(found(REGISTRY_HOST, file => !FOREIGN.test(file) || file === 'package-lock.json')).toEqual([]);
    expect(found(/"resolved":/, file => file === 'package-lock.json')).toEqual([]);
  });

  it('name the addresses of npm’s feed and downloads in one file of the worker', () => {
    expect(
      found(FEED_HOSTS, file => /^(src|schemas)\//.test(file)).filter(
        line => !line.startsWith('src/sources/npm/npm.ts:'),
      ),
    ).toEqual([]);
  });

  it('name no place on a machine', () => {
    expect(found(MACHINE_PATH, file => !FOREIGN.test(file))).toEqual([]);
  });
});

function linesOf(text: string): number {
  return text.split('\n').length - (text.endsWith('\n') ? 1 : 0);
}

function importsOf(file: string): Import[] {
  return parsed.get(file)?.imports ?? [];
}

function identifiersOf(file: string): string[] {
  return parsed.get(file)?.identifiers ?? [];
}

function literalsOf(file: string): string[] {
  return parsed.get(file)?.literals ?? [];
}

function functionsOf(file: string): ParsedFile['functions'] {
  return parsed.get(file)?.functions ?? [];
}

/** The packages that the folder of a source declares for itself in its `packages.json`, name by reason. */
function packagesOf(file: string): string[] {
  const folder = /^src\/sources\/[a-z-]+\//.exec(file)?.[0];
  const list = `${folder}packages.json`;
  if (folder === undefined || !files.includes(list)) return [];
  return Object.keys(JSON.parse(readFileSync(path.join(ROOT, list), 'utf8')));
}

/** Whether a module is of a package, at any path in it. */
function isOf(target: string, name: string): boolean {
  return target === name || target.startsWith(`${name}/`);
}

/** The first path by which a file reaches what it must not, as text; empty when there is none. */
function pathTo(file: string, never: RegExp): string[] {
  const paths: string[][] = [[file]];
  const seen = new Set<string>();
  for (const walked of paths) {
    for (const { target, typeOnly } of importsOf(walked.at(-1) ?? '')) {
      if (typeOnly || seen.has(target)) continue;
      if (never.test(target)) return [[...walked, target].join(' → ')];
      seen.add(target);
      paths.push([...walked, target]);
    }
  }
  return [];
}

/** Circles of imports, types included, each as text. */
function circles(): string[] {
  const found: string[] = [];
  const done = new Set<string>();
  const walk = (file: string, above: string[]): void => {
    if (above.includes(file)) found.push([...above.slice(above.indexOf(file)), file].join(' → '));
    if (done.has(file) || above.includes(file)) return;
    for (const { target } of importsOf(file)) walk(target, [...above, file]);
    done.add(file);
  };
  for (const file of code) walk(file, []);
  return found;
}
