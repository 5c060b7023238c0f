import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { isFunctionLikeDeclaration, type Node, type SourceFile, SyntaxKind } from 'typescript/unstable/ast';
import { API } from 'typescript/unstable/sync';
import { describe, expect, it } from 'vitest';
import { SOURCES } from '../src/sources/registry.ts';

const root = path.resolve(import.meta.dirname, '..');

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

const FILE_LINES_MAX = 300;
const FUNCTION_LINES_MAX = 70;

interface Rule {
  files: RegExp;
  /** What these files may import: files of the repository, packages, modules of the runtime. */
  may: RegExp[];
  /** What they may import only types of. */
  types?: RegExp[];
}

const anywhere = {
  schemas: /^schemas\//,
  plain: /^src\/(errors|limits|config|log)\.ts$/,
  crypto: /^node:crypto$/,
  zod: /^zod$/,
};

/** Packages that a source has for itself. */
const PACKAGES: Record<string, RegExp[]> = { whois: [/^tldts$/] };

/** The files of a source may import its tables' schemas, and each other. */
const sourceRules: Rule[] = SOURCES.map(({ id, tables }) => ({
  files: new RegExp(`^src/sources/${id}(-[a-z-]+)?\\.ts$`),
  may: [
    new RegExp(`^schemas/(${tables.map(table => table.name).join('|')})\\.ts$`),
    new RegExp(`^src/sources/(source|json|${id}(-[a-z-]+)?)\\.ts$`),
    /^src\/(errors|config)\.ts$/,
    anywhere.zod,
    ...(PACKAGES[id] ?? []),
  ],
}));

/** The object and the Loader: what the platform calls, and what binds it to the engine. */
const shell: Rule = {
  files: /^src\/((source|catalog)-object|object-ports|stream-port|load[a-z-]*)\.ts$/,
  may: [
    /^cloudflare:workers$/,
    anywhere.schemas,
    anywhere.plain,
    /^src\/(load[a-z-]*|object-ports|stream-port)\.ts$/,
    /^src\/(engine|failures|lake|parquet|catalog)\//,
    /^src\/sources\/(registry|http|source)\.ts$/,
    /^node:(zlib|crypto)$/,
  ],
  types: [/^src\/api\/([a-z]+-)?forms\.ts$/],
};

/** Who may import what; the first rule whose `files` fit holds, and every file has one. */
const RULES: Rule[] = [
  { files: /^schemas\//, may: [anywhere.schemas, anywhere.zod] },
  { files: /^src\/(errors|limits|log)\.ts$/, may: [] },
  { files: /^src\/config\.ts$/, may: [/^src\/(errors|limits)\.ts$/, anywhere.zod] },
  {
    files: /^src\/index\.ts$/,
    may: [
      /^schemas\/index\.ts$/,
      /^src\/(config|log|loader|loader-port|source-object|catalog-object)\.ts$/,
      /^src\/api\//,
      /^src\/failures\/queue\.ts$/,
      /^src\/engine\/feed-queue\.ts$/,
      /^src\/sources\/registry\.ts$/,
    ],
    types: [/^src\//],
  },
  { ...shell, files: /^src\/loader\.ts$/, may: [/^cloudflare:sockets$/, ...shell.may] },
  shell,
  { files: /^src\/sources\/registry\.ts$/, may: [/^src\/sources\//] },
  { files: /^src\/sources\/source\.ts$/, may: [], types: [anywhere.schemas, /^src\/errors\.ts$/, anywhere.zod] },
  {
    files: /^src\/sources\/(http|json)(-[a-z]+)?\.ts$/,
    may: [
      /^src\/sources\/(http|json)(-[a-z]+)?\.ts$/,
      /^src\/(errors|config)\.ts$/,
      /^package\.json$/,
      /^p-retry$/,
      anywhere.zod,
    ],
    types: [/^src\/sources\/source\.ts$/, /^src\/engine\/ports\.ts$/],
  },
  ...sourceRules,
  {
    files: /^src\/(engine|failures)\//,
    may: [
      anywhere.schemas,
      anywhere.plain,
      /^src\/(engine|failures|catalog)\//,
      /^src\/lake\/(keys|bucket)\.ts$/,
      anywhere.crypto,
    ],
    types: [/^src\/sources\/source\.ts$/, /^src\/api\/([a-z]+-)?forms\.ts$/],
  },
  { files: /^src\/lake\//, may: [anywhere.plain], types: [anywhere.schemas, /^src\/engine\/ports\.ts$/] },
  {
    files: /^src\/parquet\//,
    may: [
      anywhere.schemas,
      anywhere.plain,
      /^src\/parquet\//,
      /^hyparquet-writer(\/src\/unconvert\.js)?$/,
      /^hyparquet$/,
      /^node:zlib$/,
    ],
    types: [/^src\/engine\/ports\.ts$/],
  },
  {
    files: /^src\/catalog\//,
    may: [anywhere.schemas, anywhere.plain, /^src\/(catalog|lake)\//, anywhere.crypto, anywhere.zod, /^node:zlib$/],
    types: [/^src\/engine\/ports\.ts$/, /^src\/parquet\/footer\.ts$/, /^src\/api\/([a-z]+-)?forms\.ts$/],
  },
  { files: /^src\/sql\/settings\.ts$/, may: [/^src\/config\.ts$/, /^src\/sql\/names\.ts$/, anywhere.zod] },
  { files: /^src\/sql\//, may: [/^schemas\/table\.ts$/, /^src\/sql\//] },
  {
    files: /^src\/api\//,
    may: [anywhere.plain, /^src\/(api|sql)\//, /^itty-router$/],
    types: [anywhere.schemas, /^src\/sources\/source\.ts$/],
  },
  {
    files: /^src\/local\//,
    may: [
      anywhere.schemas,
      /^src\/(?!index|loader|source-object|catalog-object|object-ports|loading)/,
      /^(?!cloudflare:|src\/|schemas\/)[^/.]/,
    ],
  },
];

/** Packages that one file each deals with. */
const ONE_IMPORTER = ['hyparquet-writer', 'p-retry', 'itty-router', 'tldts'];

/** What a file may not reach through all it imports, types aside. */
const OUT_OF_REACH: { from: RegExp; never: RegExp }[] = [
  { from: /^src\/(engine|failures|parquet|sources|api|lake|catalog|sql)\//, never: /^cloudflare:/ },
  { from: /^src\/index\.ts$/, never: /^(src\/local\/|@duckdb\/|aws4fetch|node:(fs|net|http|child_process|sqlite))/ },
  { from: /^src\/api\//, never: /^(src\/parquet\/|hyparquet)/ },
  { from: /^src\/engine\//, never: /^src\/sources\// },
];

/** Names of Cloudflare's that would tie a file to it, also as types. */
const CLOUDFLARE_FREE = /^src\/(engine|failures|parquet|sources|api|catalog|sql)\//;
const CLOUDFLARE_NAMES =
  /^(R2(?!_SQL_)\w+|D1(?!Port)\w+|DurableObject\w*|ExecutionContext|FixedLengthStream|WorkerEntrypoint|SqlStorage\w*)$/;

/** Where SQL may be written: that of the objects, that of the operational database, and that over the lake. */
const OBJECT_SQL = /^src\/(engine\/(journal[a-z-]*|[a-z-]*sql[a-z-]*)|failures\/[a-z-]+|catalog\/commit-state)\.ts$/;
const D1_SQL = /^src\/(engine\/checkpoint|failures\/[a-z-]+)\.ts$/;
const LAKE_SQL = /^src\/(sql|local)\//;
const D1_TABLES = /\b(ingestion_runs|sync_state|failed_messages)\b/;
const SQL =
  /\b(SELECT\s+[\s\S]+\s+FROM\s|INSERT\s+(OR\s+\w+\s+)?INTO\s|UPDATE\s+\w+\s+SET\s|DELETE\s+FROM\s|(CREATE|DROP|ALTER)\s+(UNIQUE\s+)?(TABLE|INDEX|TRIGGER|VIEW)\s|PRAGMA\s)/;

// Put together from parts, so that this file does not hold what it looks for.
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
    const odd = code.filter(file => !/^(schemas\/[a-z_]+|src\/([a-z]+\/)?[a-z0-9]+(-[a-z0-9]+)*)\.ts$/.test(file));
    expect(odd).toEqual([]);
  });

  it('has a rule for every file', () => {
    expect(code.filter(file => ruleOf(file) === undefined)).toEqual([]);
  });

  it('has only imports its rules allow', () => {
    const refused = code.flatMap(file =>
      importsOf(file)
        .filter(({ target, typeOnly }) => !mayImport(file, target, typeOnly))
        .map(({ target, typeOnly }) => `${file} → ${target}${typeOnly ? ' (types)' : ''}`),
    );
    expect(refused).toEqual([]);
  });

  it('has rules that refuse what they are there for', () => {
    const refused: [string, string][] = [
      ['schemas/npm_package.ts', 'src/config.ts'],
      ['schemas/npm_package.ts', 'hyparquet-writer'],
      ['src/engine/engine.ts', 'cloudflare:workers'],
      ['src/engine/engine.ts', 'src/sources/npm/npm.ts'],
      ['src/engine/engine.ts', 'src/sources/registry.ts'],
      ['src/engine/engine.ts', 'src/sources/source.ts'],
      ['src/parquet/encode.ts', 'cloudflare:workers'],
      ['src/iceberg/append/append.ts', 'src/parquet/footer.ts'],
      ['src/iceberg/append/append.ts', 'src/engine/journal/journal.ts'],
      ['src/iceberg/rest/client.ts', 'cloudflare:workers'],
      ['src/iceberg/committer/committer.ts', 'src/alarm/run.ts'],
      ['src/iceberg/committer/committer.ts', 'src/sources/registry.ts'],
      ['src/api/tables.ts', 'src/parquet/schema.ts'],
      ['src/api/router.ts', 'src/index.ts'],
      ['src/sql/rewrite.ts', 'src/config.ts'],
      ['src/sql/rewrite.ts', 'schemas/index.ts'],
      ['src/local/start.ts', 'src/index.ts'],
      ['src/worker/source-object.ts', 'src/index.ts'],
      ['src/worker/source-object.ts', 'src/sources/npm/stand-in/stand-in.ts'],
      ['src/worker/source-object.ts', 'cloudflare:sockets'],
      ['src/loader/steps.ts', 'cloudflare:sockets'],
      ['src/sources/upstream/line-over-tcp.ts', 'cloudflare:sockets'],
      ['src/sources/npm/npm.ts', 'src/sources/upstream/fetcher.ts'],
      ['src/sources/npm/npm.ts', 'src/ports/ports.ts'],
      ['src/sources/npm/npm.ts', 'schemas/pypi_package.ts'],
      ['src/sources/npm/npm.ts', 'p-retry'],
      ['src/sources/npm/npm.ts', 'tldts'],
      ['src/lake/object-keys.ts', 'src/engine/journal/journal.ts'],
      ['src/local/sql.ts', 'cloudflare:workers'],
    ];
    expect(refused.filter(([file, target]) => mayImport(file, target, false))).toEqual([]);
    expect(mayImport('src/engine/engine.ts', 'src/sources/source.ts', true)).toBe(true);
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
  it(`no file is over ${FILE_LINES_MAX} lines`, () => {
    const long = code
      .map(file => [file, linesOf(texts.get(file) ?? '')] as const)
      .filter(([, n]) => n > FILE_LINES_MAX);
    expect(long).toEqual([]);
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

function listFiles(): string[] {
  const options = ['--cached', '--others', '--exclude-standard', '-z'];
  try {
    const out = execFileSync('git', ['ls-files', ...options], {
      cwd: root,
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    const listed = out.split('\0').filter(file => file !== '' && existsSync(path.join(root, file)));
    if (listed.length > 0) return listed;
  } catch {
    // A copy without its history is looked at as it lies there.
  }
  const generated =
    /(^|\/)(node_modules|\.git|\.wrangler|\.tributary)(\/|$)|worker-configuration\.d\.ts$|^\.ci\/report\.json$/;
  return readdirSync(root, { recursive: true, withFileTypes: true })
    .filter(entry => entry.isFile())
    .map(entry => path.relative(root, path.join(entry.parentPath, entry.name)))
    .filter(file => !generated.test(file));
}

/** A file's text; null when it is none. */
function readText(file: string): string | null {
  const bytes = readFileSync(path.join(root, file));
  return bytes.subarray(0, 8_000).includes(0) ? null : bytes.toString('utf8');
}

function linesOf(text: string): number {
  return text.split('\n').length - (text.endsWith('\n') ? 1 : 0);
}

interface Import {
  target: string;
  typeOnly: boolean;
}

/** What is known of one file of code. */
interface ParsedFile {
  imports: Import[];
  identifiers: string[];
  literals: string[];
  functions: { line: number; lines: number }[];
}

function parse(names: string[]): Map<string, ParsedFile> {
  const api = new API({ cwd: root });
  try {
    const snapshot = api.updateSnapshot({ openProjects: [path.join(root, 'tsconfig.json')] });
    const [project] = snapshot.getProjects();
    return new Map(
      names.map(name => {
        const source = project?.program.getSourceFile(path.join(root, name));
        if (source === undefined) throw new Error(`${name}: expected a file of the TypeScript project, got none`);
        return [name, readSource(name, source)];
      }),
    );
  } finally {
    api.close();
  }
}

function readSource(file: string, source: SourceFile): ParsedFile {
  const read: ParsedFile = { imports: [], identifiers: [], literals: [], functions: [] };
  const lineAt = (position: number) => source.text.slice(0, position).split('\n').length;
  const visit = (node: Node): void => {
    const found = importOf(node);
    if (found !== null) read.imports.push({ ...found, target: targetOf(file, found.target) });
    if (node.kind === SyntaxKind.Identifier) read.identifiers.push((node as unknown as { text: string }).text);
    if (isLiteral(node)) read.literals.push(node.getText(source));
    if (isFunctionLikeDeclaration(node) && 'body' in node && node.body !== undefined) {
      const line = lineAt(node.getStart(source));
      read.functions.push({ line, lines: lineAt(node.end) - line + 1 });
    }
    node.forEachChild(visit);
  };
  visit(source);
  return read;
}

interface ImportNode extends Node {
  moduleSpecifier?: { text: string };
  importClause?: { phaseModifier?: SyntaxKind; name?: Node; namedBindings?: { elements?: { isTypeOnly: boolean }[] } };
  isTypeOnly?: boolean;
  expression?: Node;
  arguments?: { text?: string }[];
  argument?: { literal?: { text: string } };
}

function importOf(node: Node): Import | null {
  const { moduleSpecifier, importClause, isTypeOnly, expression, arguments: given, argument } = node as ImportNode;
  switch (node.kind) {
    case SyntaxKind.ImportDeclaration: {
      const elements = importClause?.namedBindings?.elements;
      const onlyTypes = elements !== undefined && elements.length > 0 && elements.every(element => element.isTypeOnly);
      const typeOnly =
        importClause?.phaseModifier === SyntaxKind.TypeKeyword || (importClause?.name === undefined && onlyTypes);
      return { target: moduleSpecifier?.text ?? '', typeOnly };
    }
    case SyntaxKind.ExportDeclaration:
      return moduleSpecifier === undefined ? null : { target: moduleSpecifier.text, typeOnly: isTypeOnly === true };
    case SyntaxKind.ImportType:
      return { target: argument?.literal?.text ?? '', typeOnly: true };
    case SyntaxKind.CallExpression:
      return expression?.kind === SyntaxKind.ImportKeyword ? { target: given?.[0]?.text ?? '', typeOnly: false } : null;
    default:
      return null;
  }
}

function isLiteral({ kind }: Node): boolean {
  return [SyntaxKind.StringLiteral, SyntaxKind.NoSubstitutionTemplateLiteral, SyntaxKind.TemplateExpression].includes(
    kind,
  );
}

/** A relative import as a file of the repository; any other as it is. */
function targetOf(file: string, specifier: string): string {
  return specifier.startsWith('.') ? path.posix.join(path.posix.dirname(file), specifier) : specifier;
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

function ruleOf(file: string): Rule | undefined {
  return RULES.find(rule => rule.files.test(file));
}

function mayImport(file: string, target: string, typeOnly: boolean): boolean {
  const { may = [], types = [] } = ruleOf(file) ?? {};
  return [...may, ...(typeOnly ? types : [])].some(pattern => pattern.test(target));
}

/** Whether a module is of a package, at any path in it. */
function isOf(target: string, name: string): boolean {
  return target === name || target.startsWith(`${name}/`);
}

/** The first way by which a file reaches what it must not, as text; none when there is none. */
function pathTo(file: string, never: RegExp): string[] {
  const ways: string[][] = [[file]];
  const seen = new Set<string>();
  for (const way of ways) {
    for (const { target, typeOnly } of importsOf(way.at(-1) ?? '')) {
      if (typeOnly || seen.has(target)) continue;
      if (never.test(target)) return [[...way, target].join(' → ')];
      seen.add(target);
      ways.push([...way, target]);
    }
  }
  return [];
}
