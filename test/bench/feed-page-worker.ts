import type { Change } from '../../src/ports/change.ts';
import { readRows } from '../../src/sources/pypi/feed.ts';

let page: Uint8Array = new Uint8Array();
let changes: Change[] = [];

/** Makes a page of so many rows, as Python writes it; or reads it and keeps its changes, as a pull does until its end. */
export default {
  async fetch(request: Request): Promise<Response> {
    if (request.method !== 'POST') return new Response();
    const { kind, rows } = (await request.json()) as { kind: 'make' | 'read' | 'nothing'; rows: number };
    if (kind === 'make') page = pageOf(rows);
    if (kind === 'read') changes = readRows(page, 0).changes;
    else changes = [];
    return Response.json({ bytes: page.length, changes: changes.length });
  },
};

function pageOf(rows: number): Uint8Array {
  const parts: string[] = [];
  for (let i = 1; i <= rows; i++) {
    const name = `Project.${i % 7 === 0 ? i - 1 : i}`;
    const file = `${name}-1.${i}.0-cp312-cp312-manylinux_2_17_x86_64.whl`;
    const texts = [name, `1.${i}.0`].map(text => `<value><string>${text}</string></value>\n`);
    parts.push(
      `<value><array><data>\n${texts.join('')}<value><int>${1_700_000_000 + i}</int></value>\n`,
      `<value><string>add cp312 file ${file} &amp;#8230;</string></value>\n<value><int>${i}</int></value>\n`,
      '</data></array></value>\n',
    );
  }
  const head = "<?xml version='1.0'?>\n<methodResponse>\n<params>\n<param>\n<value><array><data>\n";
  const tail = '</data></array></value>\n</param>\n</params>\n</methodResponse>\n';
  return new TextEncoder().encode(head + parts.join('') + tail);
}
