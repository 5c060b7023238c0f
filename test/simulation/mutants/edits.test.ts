import { describe, expect, it } from 'vitest';
import { applyEdits } from './edits.ts';
import { MUTANTS } from './mutants.ts';

describe('mutants', () => {
  it('change texts that are once in their files', () => {
    const failed = MUTANTS.flatMap(({ name, edits }) => {
      try {
        applyEdits(edits);
        return [];
      } catch (error) {
        return [`${name}: ${(error as Error).message}`];
      }
    });
    expect(failed).toEqual([]);
  });

  it('have different names', () => {
    const names = MUTANTS.map(({ name }) => name);
    expect(names.filter((name, index) => names.indexOf(name) !== index)).toEqual([]);
  });
});
