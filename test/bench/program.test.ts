import { describe, expect, it } from 'vitest';
import { runBenches } from './program.ts';
import { type Bench, TABLE_HEAD } from './report.ts';

const rowOf = (name: string) => `| ${name} | 1 | once |\n`;

/** A bench with one figure, which notes what was printed before it began. */
function bench(name: string, fails = false): Bench {
  return {
    name,
    async *run(size) {
      yield { what: `${name} ${size}`, figure: '1', basis: 'once' };
      if (fails) throw new Error(`${name}: expected an answer, got none`);
    },
  };
}

async function played(benches: readonly Bench[], ...names: string[]) {
  const printed: string[] = [];
  const errors: string[] = [];
  const screen = { out: (text: string) => void printed.push(text), err: (text: string) => void errors.push(text) };
  const code = await runBenches({ benches, names, size: 'tiny', screen });
  return { code, printed, errors: errors.join('') };
}

describe('the program', () => {
  it('runs all benches where none is named', async () => {
    const { code, printed } = await played([bench('one'), bench('two')]);
    expect(code).toBe(0);
    expect(printed.slice(0, 3)).toEqual([TABLE_HEAD, rowOf('one tiny'), rowOf('two tiny')]);
  });

  it('runs only the benches that are named', async () => {
    const { code, printed } = await played([bench('one'), bench('two'), bench('three')], 'three', 'one');
    expect(code).toBe(0);
    expect(printed.slice(0, -1)).toEqual([TABLE_HEAD, rowOf('one tiny'), rowOf('three tiny')]);
  });

  it('prints a figure before the next one is measured', async () => {
    const printed: string[] = [];
    const seen: string[][] = [];
    const slow: Bench = {
      name: 'slow',
      async *run() {
        yield { what: 'first', figure: '1', basis: 'once' };
        seen.push([...printed]);
        yield { what: 'second', figure: '1', basis: 'once' };
      },
    };
    const screen = { out: (text: string) => void printed.push(text), err: () => {} };
    await runBenches({ benches: [slow], names: [], size: 'tiny', screen });
    expect(seen).toEqual([[TABLE_HEAD, rowOf('first')]]);
  });

  it('goes on after a bench that fails, and says so by its exit code', async () => {
    const { code, printed, errors } = await played([bench('one'), bench('bad', true), bench('two')]);
    expect(code).toBe(1);
    expect(printed.slice(1, 4)).toEqual([rowOf('one tiny'), rowOf('bad tiny'), rowOf('two tiny')]);
    expect(errors).toContain('bad failed: Error: bad: expected an answer, got none');
    expect(errors).toContain('got none or not all of bad\n');
  });

  it('names the benches that exist when it does not know one, and runs none', async () => {
    const { code, printed, errors } = await played([bench('one'), bench('two')], 'one', 'speed');
    expect(code).toBe(1);
    expect(printed).toEqual([]);
    expect(errors).toBe('bench: expected names out of one, two, got speed\n');
  });
});
