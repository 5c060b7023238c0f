import fs from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import type { ColumnType } from '../../schemas/column.ts';
import { TABLES, tableNamed } from '../../schemas/index.ts';

const spec = fs.readFileSync(path.resolve(import.meta.dirname, '../fixtures/spec/r2-storage-schema.md'), 'utf8');

interface Message {
  name: string;
  columns: string[];
}

/** Every `parquet` block of a text. Throws an `Error` for a line that it cannot parse. */
function parseMessages(text: string): Message[] {
  return Array.from(text.matchAll(/^```parquet\n([\s\S]*?)^```/gm), ([, block]) => {
    const lines = block!.split('\n').map(line => line.replace(/\/\/.*$/, '').trim());
    const [head, ...rest] = lines.filter(Boolean);
    if (rest.pop() !== '}') throw new Error('message: expected a closing brace');
    const name = /^message (\w+) \{$/.exec(head!)?.[1];
    if (!name) throw new Error(`message: cannot read "${head}"`);
    return { name, columns: rest.map(columnOf) };
  });
}

function columnOf(line: string): string {
  const found = /^(required|optional) (binary|int32|int64|float|boolean) (\w+)( \(UTF8\))?;$/.exec(line);
  if (!found) throw new Error(`column: cannot read "${line}"`);
  const [, repetition, physical, name, annotation] = found;
  return `${repetition} ${physical}${annotation ?? ''} ${name}`;
}

const PHYSICAL: Record<ColumnType, string> = {
  utf8: 'binary (UTF8)',
  int32: 'int32',
  int64: 'int64',
  float: 'float',
  boolean: 'boolean',
};

function derivedFrom(name: string): string[] {
  const { columns, lineageAt } = tableNamed(name);
  return columns.slice(0, lineageAt).map(({ required, type, ...column }) => {
    return `${required ? 'required' : 'optional'} ${PHYSICAL[type]} ${column.name}`;
  });
}

describe('the specification', () => {
  const messages = parseMessages(spec);

  it('describes every table except github_repo, which it does not have', () => {
    const described = messages.map(message => message.name);
    const tables = TABLES.map(table => table.name);
    expect(described.sort()).toEqual(tables.filter(name => name !== 'github_repo').sort());
  });

  it.each(messages.map(message => [message.name, message.columns]))(
    'has the columns of %s in this order',
    (name, columns) => {
      expect(derivedFrom(name as string)).toEqual(columns);
    },
  );

  it('is compared line by line, so that each difference fails', () => {
    const [first] = parseMessages(spec.replace('optional int64 stars;', 'required int32 star;'));
    expect(first!.columns.filter(line => !derivedFrom('npm_package').includes(line))).toEqual(['required int32 star']);
    expect(() => parseMessages(spec.replace('optional int64 stars;', 'optional int96 stars;'))).toThrow('cannot read');
    const lines = spec.match(/^ *(required|optional) /gm);
    expect(messages.flatMap(message => message.columns)).toHaveLength(lines!.length);
  });
});
