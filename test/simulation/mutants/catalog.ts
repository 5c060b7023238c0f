import { CATALOG, CATALOG_SCENARIO, type Mutant } from './mutant.ts';

const CATALOGER = 'src/engine/publish/catalog.ts';
const JOURNAL = 'src/engine/journal/catalog.ts';

/** Mutants of the step that writes the catalog. */
export const CATALOG_MUTANTS: Mutant[] = [
  {
    name: 'root put before its segment',
    breaks: CATALOG,
    caughtBy: CATALOG_SCENARIO,
    edits: [
      {
        file: CATALOGER,
        text: 'const found = await this.#put(key, text, { onlyIf: { absent: true }, metadata: { digest } });',
        instead: `void this.#put(key, text, { onlyIf: { absent: true }, metadata: { digest } }).catch(() => undefined);
    const found = { metadata: { digest } };`,
      },
    ],
  },
  {
    name: 'segment overwritten in place',
    breaks: CATALOG,
    caughtBy: CATALOG_SCENARIO,
    edits: [
      {
        file: 'src/lake/object-keys.ts',
        text: '-${lsnText(lastLsn)}-${number}.json`;',
        instead: '.json`;',
      },
      {
        file: CATALOGER,
        text: '{ onlyIf: { absent: true }, metadata: { digest } }',
        instead: '{ metadata: { digest } }',
      },
    ],
  },
  {
    name: 'older root put over a newer one',
    breaks: CATALOG,
    caughtBy: CATALOG_SCENARIO,
    edits: [
      {
        file: CATALOGER,
        text: 'text, { onlyIf, metadata });\n    if (root',
        instead: 'text, { metadata });\n    if (root',
      },
    ],
  },
  {
    name: 'open segment not rewritten',
    breaks: CATALOG,
    caughtBy: CATALOG_SCENARIO,
    edits: [
      {
        file: JOURNAL,
        text: 'first_lsn = ? AND last_lsn = ?\n         AND state',
        instead: 'first_lsn = ? AND last_lsn <= ?\n         AND state',
      },
      {
        file: CATALOGER,
        text: 'cursorFrom: last?.cursor ?? null, run }));',
        instead:
          'cursorFrom: last?.cursor ?? null, run }));\n      if (files.length < LIMITS.catalogSegmentFilesMax) return segments;',
      },
    ],
  },
  {
    name: 'replaced segments removed at once',
    breaks: CATALOG,
    caughtBy: CATALOG_SCENARIO,
    edits: [{ file: CATALOGER, text: 'ports.clock.now() - CATALOG_RETENTION_MS', instead: 'ports.clock.now()' }],
  },
  {
    name: 'segments removed that the root names',
    breaks: CATALOG,
    caughtBy: CATALOG_SCENARIO,
    edits: [{ file: JOURNAL, text: 'others.filter(segment => !named.has(nameOf(segment)))', instead: 'others' }],
  },
  {
    name: 'segment not recorded before its put',
    breaks: CATALOG,
    caughtBy: CATALOG_SCENARIO,
    edits: [
      {
        file: JOURNAL,
        text: '      this.#sql.exec(\n        `INSERT INTO segments',
        instead:
          '      if (files.length < 4 && this.state(table).snapshot > 1) return row;\n      this.#sql.exec(\n        `INSERT INTO segments',
      },
    ],
  },
  {
    name: 'root in the lake not continued from',
    breaks: CATALOG,
    caughtBy: CATALOG_SCENARIO,
    edits: [
      {
        file: CATALOGER,
        text: 'Number(snapshot)), etag: root.etag });',
        instead: 'Number(snapshot)), etag: null });',
      },
    ],
  },
];
