import type { Mistake } from './edits.ts';

const CATALOGER = 'src/engine/publish/catalog.ts';
const JOURNAL = 'src/engine/journal/catalog.ts';

export const MISTAKES: Mistake[] = [
  {
    name: 'root put before its segment stands',
    edits: [
      {
        file: CATALOGER,
        text: 'const stands = await this.#put(key, text, { onlyIf: { absent: true }, metadata: { digest } });',
        instead: `void this.#put(key, text, { onlyIf: { absent: true }, metadata: { digest } }).catch(() => undefined);
    const stands = { metadata: { digest } };`,
      },
    ],
  },
  {
    name: 'segment overwritten in place',
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
    name: 'older snapshot over a newer one',
    edits: [
      {
        file: CATALOGER,
        text: 'text, { onlyIf, metadata });\n    if (stands',
        instead: 'text, { metadata });\n    if (stands',
      },
    ],
  },
  {
    name: 'open segment not renewed',
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
    name: 'old names removed at once',
    edits: [{ file: CATALOGER, text: 'ports.clock.now() - LIMITS.catalogRetentionMs', instead: 'ports.clock.now()' }],
  },
  {
    name: 'names removed that the root still names',
    edits: [{ file: JOURNAL, text: 'others.filter(segment => !isNamed.has(nameOf(segment)))', instead: 'others' }],
  },
  {
    name: 'segment not written down before its put',
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
    name: 'standing root not gone on from',
    edits: [
      {
        file: CATALOGER,
        text: 'Number(snapshot)), etag: stands.etag });',
        instead: 'Number(snapshot)), etag: null });',
      },
    ],
  },
];
