import { describe, expect, it } from 'vitest';
import { BENCHES } from './benches.ts';
import type { Figure } from './report.ts';

describe('the benches', () => {
  it.each(BENCHES)('$name gives figures', async bench => {
    const figures: Figure[] = [];
    for await (const figure of bench.run('tiny')) figures.push(figure);
    expect(figures.length).toBeGreaterThan(0);
    for (const { figure, basis } of figures) {
      expect(figure).toMatch(/\d/);
      expect(basis).toMatch(/\S/);
    }
  });
});
