import { describe, expect, it } from 'vitest';
import { readSimpleIndex } from '../../../src/sources/pypi/simple-index.ts';

const bytesOf = (text: string) => new TextEncoder().encode(text);

async function* inChunks(bytes: Uint8Array, size: number): AsyncGenerator<Uint8Array> {
  for (let from = 0; from < bytes.length; from += size) yield bytes.subarray(from, from + size);
}

async function read(text: string, size = 7) {
  const keys: unknown[] = [];
  for await (const some of readSimpleIndex(inChunks(bytesOf(text), size))) keys.push(...some);
  return keys;
}

const META = '"meta":{"_last-serial":9,"api-version":"1.4","projects":[{"name":"no"}]}';
const indexOf = (projects: unknown[]) => `{${META},"projects":${JSON.stringify(projects)}}`;

describe('the simple index', () => {
  it('gives keys with their serials, whatever the size of its chunks', async () => {
    const projects = [
      { '_last-serial': 5, name: 'Foo.Bar' },
      { '_last-serial': 7, name: 'b]}"{[\\' },
      { name: 'é', '_last-serial': null, extra: { a: [1, '}'] } },
      { '_last-serial': 2 ** 53, name: 'c' },
    ];
    const expected = [
      { key: 'foo-bar', revision: 5 },
      { key: 'b]}"{[\\', revision: 7 },
      { key: 'é', revision: null },
      { key: 'c', revision: null },
    ];
    for (let size = 1; size < 300; size += size < 20 ? 1 : 37) {
      expect(await read(indexOf(projects), size), `chunks of ${size}`).toEqual(expected);
      expect(await read(JSON.stringify(JSON.parse(indexOf(projects)), null, 2), size)).toEqual(expected);
    }
  });

  it('may be empty, and may have other lists and doubled names', async () => {
    expect(await read(indexOf([]))).toEqual([]);
    const text = `{"other":[{"name":"x"}],"projects":[{"name":"a","_last-serial":1},{"name":"A","_last-serial":2}],"more":[1]}\n`;
    expect(await read(text)).toEqual([
      { key: 'a', revision: 1 },
      { key: 'a', revision: 2 },
    ]);
  });

  it('that is cut anywhere is truncated', async () => {
    const text = indexOf([
      { '_last-serial': 5, name: 'a' },
      { '_last-serial': 7, name: 'b' },
    ]);
    for (let length = 0; length < text.length; length++) {
      await expect(read(text.slice(0, length), 11), `${length} bytes`).rejects.toMatchObject({ reason: 'truncated' });
    }
  });

  it.each([
    ['a web page', '<!doctype html><html></html>', 'not-json'],
    ['other text', 'no index', 'not-json'],
    ['a list', '[{"name":"a"}]', 'wrong-shape'],
    ['an index without projects', '{"meta":{}}', 'wrong-shape'],
    ['projects as a map', '{"projects":{"a":1}}', 'wrong-shape'],
    ['a project without a name', '{"projects":[{"_last-serial":1}]}', 'wrong-shape'],
    ['projects that are texts', '{"projects":["a","b"]}', 'malformed-json'],
    ['projects that are lists', '{"projects":[["a"]]}', 'wrong-shape'],
    ['no comma between projects', '{"projects":[{"name":"a"}{"name":"b"}]}', 'malformed-json'],
    ['a comma before the first project', '{"projects":[,{"name":"a"}]}', 'malformed-json'],
    ['a byte order mark between projects', '{"projects":[{"name":"a"},\uFEFF{"name":"b"}]}', 'malformed-json'],
    ['a control character between projects', '{"projects":[{"name":"a"}\u0000,{"name":"b"}]}', 'malformed-json'],
    ['a comma too many', '{"projects":[{"name":"a"},]}', 'malformed-json'],
    ['a name of 100 KB', `{"projects":[{"name":"${'a'.repeat(100_000)}"}]}`, 'wrong-shape'],
  ])('is refused where it is %s', async (_, text, reason) => {
    await expect(read(text, 1000)).rejects.toMatchObject({ reason });
    if (text.length < 1000) await expect(read(text, 1)).rejects.toMatchObject({ reason });
  });

  it('of 100,000 projects is read whole', async () => {
    const PROJECTS = 100_000;
    async function* chunks() {
      yield bytesOf(`{${META},"projects":[`);
      for (let from = 0; from < PROJECTS; from += 1000) {
        const some = Array.from(
          { length: 1000 },
          (_, i) => `{"_last-serial":${from + i},"name":"project-${from + i}"}`,
        );
        yield bytesOf(`${from === 0 ? '' : ','}${some.join(',')}`);
      }
      yield bytesOf(']}');
    }
    let count = 0;
    for await (const keys of readSimpleIndex(chunks())) count += keys.length;
    expect(count).toBe(PROJECTS);
  });
});
