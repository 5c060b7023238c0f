import { readFileSync } from 'node:fs';
import path from 'node:path';
import { expect, it } from 'vitest';
import { METRIC_FAMILIES } from '../../src/api/metric-families.ts';
import { ROUTES } from '../../src/api/router.ts';

/** The rows of the README's tables: `names` are in the first cell, in backticks; `text` is the whole row. */
const ROWS = readFileSync(path.resolve(import.meta.dirname, '../../README.md'), 'utf8')
  .split('\n')
  .filter(line => line.startsWith('| `'))
  .map(text => {
    const [firstCell] = text.split(' | ');
    return { text, names: [...firstCell!.matchAll(/`([^`]+)`/g)].flatMap(([, name]) => expanded(name!)) };
  });

/** `POST /a/{b,c}` is short for `POST /a/b` and `POST /a/c`; a query after `?` is not part of the name. */
function expanded(name: string): string[] {
  const [, before = '', choices = '', after = ''] = /^([^{]*)\{([^}]*)\}(.*)$/.exec(name) ?? [];
  if (choices !== '') return choices.split(',').flatMap(choice => expanded(`${before}${choice}${after}`));
  return [name.split('?')[0]!];
}

const rowOf = (name: string) => ROWS.find(({ names }) => names.includes(name))?.text;
const namesLike = (pattern: RegExp) => ROWS.flatMap(({ names }) => names.filter(name => pattern.test(name)));

it('the README has a table row for each route, and none for another', () => {
  const routes = ROUTES.map(([method, url, access, does]) => ({ name: `${method} ${url}`, access, does }));
  const missing = routes
    .filter(({ name }) => rowOf(name) === undefined)
    .map(({ name, access, does }) => `| \`${name}\` | ${access === 'token' ? 'yes' : ''} | ${does} |`);
  const unknown = namesLike(/^(GET|POST|PUT|PATCH|DELETE) \//).filter(
    name => !routes.some(route => route.name === name),
  );
  expect({ missing, unknown }).toEqual({ missing: [], unknown: [] });
});

it('the README has a table row with type and labels for each metric family, and none for another', () => {
  const missing = METRIC_FAMILIES.flatMap(({ name, type, unit, labels }) => {
    const row = rowOf(name) ?? '';
    // Every family has the label `source`, so the rows leave it out.
    const shown = labels.filter(label => label !== 'source').map(label => `\`${label}\``);
    const isComplete = row.includes(`| ${type} |`) && shown.every(label => row.includes(label));
    return isComplete ? [] : [`| \`${name}\` | ${type} | ${unit} | ${shown.join(', ')} |`];
  });
  const unknown = namesLike(/^tributary_[a-z_]+$/).filter(
    name => !METRIC_FAMILIES.some(family => family.name === name),
  );
  expect({ missing, unknown }).toEqual({ missing: [], unknown: [] });
});
