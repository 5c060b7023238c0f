import { existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { METRIC_FAMILIES } from '../src/api/metric-families.ts';
import { ROUTES } from '../src/api/router.ts';
import { COMMON_SETTINGS } from '../src/config.ts';
import { SOURCE_STATES } from '../src/contract/source.ts';
import { FINDING_REFUSALS, PARK_REASONS, SKIP_REASONS } from '../src/errors.ts';
import { EVENTS } from '../src/log.ts';
import { SOURCES } from '../src/sources/registry.ts';
import { SQL_SETTINGS } from '../src/sql/settings.ts';
import { listFiles } from './layout/code.ts';

const ROOT = path.resolve(import.meta.dirname, '..');
const README_LINES_MAX = 250;
/** Settings of the local programs, which the worker does not read. */
const LOCAL_SETTINGS = ['PORT', 'STATE_DIR', 'LAKE_S3_URL', 'LAKE_S3_KEY_ID', 'LAKE_S3_SECRET'];
const read = (file: string) => readFileSync(path.join(ROOT, file), 'utf8');

interface TableRow {
  /** What is in backticks in the first cell. */
  names: string[];
  text: string;
}

/** The rows of a document's tables; under one heading, where it is given. */
function rowsOf(file: string, heading?: string): TableRow[] {
  const sections = read(file).split(/^(?=#+ )/m);
  const text = heading === undefined ? sections.join('') : sections.find(one => one.startsWith(`## ${heading}\n`));
  if (text === undefined) throw new Error(`${file}: expected a heading ${heading}, got none`);
  return text
    .split('\n')
    .filter(line => line.startsWith('| `'))
    .map(line => {
      const [firstCell] = line.split(' | ');
      return { text: line, names: [...firstCell!.matchAll(/`([^`]+)`/g)].flatMap(([, name]) => expanded(name!)) };
    });
}

/** `POST /a/{b,c}` is short for `POST /a/b` and `POST /a/c`; a query after `?` is not part of the name. */
function expanded(name: string): string[] {
  const [, before = '', choices = '', after = ''] = /^([^{]*)\{([^}]*)\}(.*)$/.exec(name) ?? [];
  if (choices !== '') return choices.split(',').flatMap(choice => expanded(`${before}${choice}${after}`));
  return [name.split('?')[0]!];
}

const namesOf = (rows: TableRow[]) => rows.flatMap(({ names }) => names);
const sorted = (names: readonly string[]) => [...names].sort();

describe('the README', () => {
  it(`has at most ${README_LINES_MAX} lines`, () => {
    expect(read('README.md').split('\n').length - 1).toBeLessThanOrEqual(README_LINES_MAX);
  });

  it('has a row for each route, and none for another', () => {
    const named = namesOf(rowsOf('README.md')).filter(name => /^(GET|POST|PUT|PATCH|DELETE) \//.test(name));
    expect(sorted(named)).toEqual(sorted(ROUTES.map(([method, url]) => `${method} ${url}`)));
  });

  it('has a row for each setting that is no source’s own, and none for another', () => {
    const named = namesOf(rowsOf('README.md')).filter(name => /^[A-Z][A-Z0-9_]+$/.test(name));
    expect(sorted(named)).toEqual(sorted([...new Set([...COMMON_SETTINGS, ...SQL_SETTINGS, ...LOCAL_SETTINGS])]));
  });
});

describe('the page of a source', () => {
  it.each(SOURCES.map(({ id, settingNames }) => [id, settingNames] as const))('%s lists its settings', (id, names) => {
    const named = namesOf(rowsOf(`src/sources/${id}/README.md`)).filter(name => /^[A-Z][A-Z0-9_]+$/.test(name));
    expect(sorted(named)).toEqual(sorted(names));
  });
});

describe('the page of the forms', () => {
  const page = 'src/contract/README.md';

  it.each([
    ['States', SOURCE_STATES],
    ['Park reasons', PARK_REASONS],
    ['Skip reasons', SKIP_REASONS],
    ['Findings passed over', FINDING_REFUSALS],
    ['Log events', Object.keys(EVENTS)],
    ['Metrics', METRIC_FAMILIES.map(({ name }) => name)],
  ])('%s are those of the code', (heading, names) => {
    expect(sorted(namesOf(rowsOf(page, heading)))).toEqual(sorted(names));
  });

  it('shows type and labels of each metric family', () => {
    const rows = rowsOf(page, 'Metrics');
    const incomplete = METRIC_FAMILIES.flatMap(({ name, type, unit, labels }) => {
      const row = rows.find(({ names }) => names.includes(name))?.text ?? '';
      // Every family has the label `source`, so the rows leave it out.
      const shown = labels.filter(label => label !== 'source').map(label => `\`${label}\``);
      const isComplete = row.includes(`| ${type} |`) && shown.every(label => row.includes(label));
      return isComplete ? [] : [`| \`${name}\` | ${type} | ${unit} | ${shown.join(', ')} |`];
    });
    expect(incomplete).toEqual([]);
  });
});

describe('the page of the tests', () => {
  /** Variables of the machine, and those that a test hands to a program it starts. */
  const OTHERS = ['CI', 'PATH', 'CLOUDFLARE_ACCOUNT_ID', 'NODE_COMPILE_CACHE', 'WRANGLER_LOG'];

  const files = listFiles().filter(file => /^test\/.*\.ts$/.test(file) && !file.startsWith('test/bench/'));
  const reads = /process\.env\.([A-Z][A-Z0-9_]+)|(?:numberOf|seedOf)\('([A-Z0-9_]+)'/g;
  const found = files.flatMap(file => [...read(file).matchAll(reads)].map(([, direct, named]) => direct ?? named!));

  it('lists every environment variable that tests read', () => {
    const expected = [...new Set(found)].filter(name => !OTHERS.includes(name));
    expect(sorted(namesOf(rowsOf('test/README.md', 'Environment variables')))).toEqual(sorted(expected));
  });

  it('describes a run of CI whose budgets tests read', () => {
    const raised = [...read('.ci/run').matchAll(/^export (\w+)=/gm)].map(([, name]) => name!);
    expect(raised.length).toBeGreaterThan(0);
    expect(raised.filter(name => !found.includes(name))).toEqual([]);
  });
});

describe('documents', () => {
  const documents = listFiles().filter(file => file.endsWith('.md') && !file.startsWith('test/fixtures/spec/'));

  it('link only to files that exist', () => {
    const broken = documents.flatMap(file =>
      [...read(file).matchAll(/\]\((?!https?:|#|mailto:)([^)#\s]+)/g)]
        .map(([, link]) => path.posix.join(path.posix.dirname(file), link!))
        .filter(target => !existsSync(path.join(ROOT, target)))
        .map(target => `${file}: ${target}`),
    );
    expect(broken).toEqual([]);
  });

  it('map every folder and file of src', () => {
    const map = read('src/README.md').split('```')[1]!;
    const named = [...map.matchAll(/^\s*([a-z][\w.-]*)\/?\s{2,}/gm)].map(([, name]) => name!);
    const generated = ['worker-configuration.d.ts', 'README.md'];
    const missing = readdirSync(path.join(ROOT, 'src')).filter(
      name => !named.includes(name) && !generated.includes(name),
    );
    expect(missing).toEqual([]);
  });
});
