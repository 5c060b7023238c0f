import { expect } from 'vitest';

const NAME = '[a-zA-Z_:][a-zA-Z0-9_:]*';
const LABEL = '[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\\\\n]|\\\\["\\\\n])*"';
const HELP = new RegExp(`^# HELP (${NAME}) (?:[^\\\\]|\\\\[\\\\n])*$`);
const TYPE = new RegExp(`^# TYPE (${NAME}) (counter|gauge|histogram)$`);
const SAMPLE = new RegExp(
  `^(${NAME})\\{((?:${LABEL})(?:,${LABEL})*)\\} (-?\\d+(?:\\.\\d+)?(?:e[+-]\\d+)?|\\+Inf|NaN)$`,
);

interface Sample {
  name: string;
  labels: Record<string, string>;
  value: number;
}

/**
 * Checks a text against the rules of the exposition format, version 0.0.4, and the conventions on names. Gives the
 * families by name, with their samples in order. https://prometheus.io/docs/instrumenting/exposition_formats/
 */
export function expectRules(text: string): Record<string, { type: string; samples: Sample[] }> {
  expect(text.endsWith('\n')).toBe(true);
  const lines = text.slice(0, -1).split('\n');
  const families: Record<string, { type: string; samples: Sample[] }> = {};
  let last = '';
  for (const [index, line] of lines.entries()) {
    const [, helpName] = HELP.exec(line) ?? [];
    if (helpName !== undefined) {
      // Each family has one HELP line, then its TYPE line, then its samples.
      expect(families, line).not.toHaveProperty(helpName);
      expect(lines[index + 1], line).toMatch(TYPE);
      continue;
    }
    const [, typeName, type] = TYPE.exec(line) ?? [];
    if (typeName !== undefined) {
      expect(lines[index - 1], line).toMatch(new RegExp(`^# HELP ${typeName} `));
      families[typeName] = { type: type!, samples: [] };
      last = typeName;
      continue;
    }
    expect(line).toMatch(SAMPLE);
    const [, name, labels, value] = SAMPLE.exec(line)!;
    const family = families[last]!;
    const suffixes = family.type === 'histogram' ? ['_bucket', '_sum', '_count'] : [''];
    expect(
      suffixes.map(suffix => last + suffix),
      line,
    ).toContain(name);
    family.samples.push({ name: name!, labels: labelsOf(labels!), value: Number(value!.replace('+Inf', 'Infinity')) });
  }
  for (const [name, family] of Object.entries(families)) expectFamily(name, family);
  return families;
}

function expectFamily(name: string, { type, samples }: { type: string; samples: Sample[] }): void {
  expect(name).toMatch(/^tributary_[a-z_]+[a-z]$/);
  expect(name.endsWith('_total'), name).toBe(type === 'counter');
  expect(name, 'base units only').not.toMatch(/_(ms|milliseconds|minutes|kb|kilobytes|percent)(_|$)/);
  expect(samples, name).not.toEqual([]);
  const series = samples.map(sample => JSON.stringify([sample.name, Object.entries(sample.labels).sort()]));
  expect(new Set(series).size, `${name}: each series once`).toBe(samples.length);
  if (type === 'counter') for (const { value } of samples) expect(value).toBeGreaterThanOrEqual(0);
  if (type === 'histogram') expectHistograms(name, samples);
}

/** Bounds and counts of buckets rise; the last bucket has the bound `+Inf`, and its count is that of `_count`. */
function expectHistograms(name: string, samples: Sample[]): void {
  const bySeries = Map.groupBy(samples, ({ labels: { le: _, ...labels } }) => JSON.stringify(labels));
  for (const [series, own] of bySeries) {
    const buckets = own.filter(sample => sample.name === `${name}_bucket`);
    const bounds = buckets.map(({ labels }) => Number(labels.le!.replace('+Inf', 'Infinity')));
    const counts = buckets.map(({ value }) => value);
    expect(bounds.at(-1), series).toBe(Number.POSITIVE_INFINITY);
    expect(bounds, series).toEqual([...new Set(bounds)].sort((a, b) => a - b));
    expect(counts, series).toEqual(counts.toSorted((a, b) => a - b));
    const rest = own.filter(sample => !buckets.includes(sample)).map(sample => sample.name);
    expect(rest, series).toEqual([`${name}_sum`, `${name}_count`]);
    expect(own.at(-1)!.value, series).toBe(counts.at(-1));
  }
}

function labelsOf(text: string): Record<string, string> {
  const pairs = [...text.matchAll(/([a-zA-Z0-9_]+)="((?:[^"\\]|\\.)*)"/g)];
  return Object.fromEntries(pairs.map(([, label, value]) => [label!, unescaped(value!)]));
}

function unescaped(text: string): string {
  return text.replace(/\\(.)/g, (_, character: string) => (character === 'n' ? '\n' : character));
}
