import { vi } from 'vitest';

// Make the toy the only source of the walk; npm stays known, because an inlet of the toy reads its table.
vi.mock('../../src/sources/registry.ts', async load => {
  const { sourceNamed } = await load<typeof import('../../src/sources/registry.ts')>();
  const { tracker } = await import('./tracker/tracker.ts');
  return { SOURCES: [tracker], sourceNamed: (id: string) => (id === 'tracker' ? tracker : sourceNamed(id)) };
});

// Every check of the registry walk runs for the toy, which has a probe, an inlet, two tables and no directory.
for (const part of ['', '.agenda']) await import(`./registry${part}.test.ts`);
