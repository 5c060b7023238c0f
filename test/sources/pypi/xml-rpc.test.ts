import { describe, expect, it } from 'vitest';
import { decodeReferences, readXmlRpc, type XmlRpcValue } from '../../../src/sources/pypi/xml-rpc.ts';
import { answerXml, faultXml, pageXml } from './upstream.ts';

const bytesOf = (text: string) => new TextEncoder().encode(text);
const read = (text: string) => readXmlRpc('answer', bytesOf(text));
const value = (xml: string) => read(answerXml(`<value>${xml}</value>`));

describe('a value', () => {
  it.each<[string, XmlRpcValue]>([
    ['<int>24891357</int>', 24_891_357],
    ['<i4>-7</i4>', -7],
    ['<i8> 4294967296 </i8>', 4_294_967_296],
    ['<double>1.5</double>', 1.5],
    ['<boolean>1</boolean>', true],
    ['<boolean>0</boolean>', false],
    ['<string>a &lt;b&gt; &amp; &quot;c&apos;</string>', 'a <b> & "c\''],
    ['<string></string>', ''],
    ['<string/>', ''],
    [' bare text ', ' bare text '],
    ['', ''],
    ['<string>&#233;&#xE9;&#x1F600;é</string>', 'éé😀é'],
    ['<nil/>', null],
    ['<nil />', null],
    ['<nil></nil>', null],
    ['<ex:nil xmlns:ex="urn:x"/>', null],
    ['<base64>aGk=</base64>', 'aGk='],
    ['<array><data/></array>', []],
    ['\n<array>\n<data>\n</data>\n</array>\n', []],
    ['<array><data><value/><value><nil/></value><value>x</value></data></array>', ['', null, 'x']],
    ['<struct/>', new Map()],
    ['<struct><member><name>a</name><value><int>1</int></value></member></struct>', new Map([['a', 1]])],
  ])('%s is read', (xml, expected) => {
    expect(value(xml)).toEqual({ value: expected });
  });

  it('of a whole list goes to a function item by item, and is not kept', () => {
    const items: [XmlRpcValue, number][] = [];
    const xml = pageXml([['a', null, 1, 'create', 5], ['b']]);
    expect(readXmlRpc('answer', bytesOf(xml), (item, index) => items.push([item, index]))).toEqual({ value: [] });
    expect(items).toEqual([
      [['a', null, 1, 'create', 5], 0],
      [['b'], 1],
    ]);
  });

  it('may stand after a byte order mark, and without line breaks', () => {
    const xml = answerXml('<value><int>1</int></value>').replaceAll('\n', '');
    expect(read(`\uFEFF${xml}`)).toEqual({ value: 1 });
  });
});

it('a fault is read with its code and text', () => {
  expect(read(faultXml(-32601, 'a <b>'))).toEqual({ fault: { code: -32601, text: 'a <b>' } });
});

it('references that XML does not define stay', () => {
  expect(decodeReferences('&nbsp; &#x110000; &#99999999; & &amp &;')).toBe('&nbsp; &#x110000; &#99999999; & &amp &;');
  expect(decodeReferences('&#xD800;')).toBe('\uFFFD');
});

describe('an answer that is refused', () => {
  it.each([
    ['a web page', '<!doctype html><html><body>down</body></html>', /got a web page/],
    ['a web page without a type', '<html lang="en"><p>x', /got a web page/],
    ['other text', '{"a":1}', /got other text/],
    ['a DOCTYPE', `<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "b">]>${answerXml('')}`, /no DOCTYPE/],
    ['a comment', answerXml('<value><!-- x --><int>1</int></value>'), /no DOCTYPE, comment or CDATA/],
    ['an unknown type', answerXml('<value><date>1</date></value>'), /a type|another tag/],
    ['an int that is none', answerXml('<value><int>1e3</int></value>'), /expected a number/],
    ['text between tags', answerXml('x<value><int>1</int></value>'), /text between tags/],
    ['two values', answerXml('<value/><value/>'), /got <value\/>/],
    ['an end in place of a value', answerXml('</value>'), /got <\/value>/],
    ['ends in the wrong order', answerXml('<value><array><data></array></data></value>'), /got <\/array>/],
    ['more after its end', `${answerXml('<value/>')}<params/>`, /nothing after the answer/],
    ['text after its end', `${answerXml('<value/>')}x`, /nothing after the answer/],
    ['deeper lists', answerXml(nested(20)), /nested at most 8 deep/],
  ])('%s', (_, text, message) => {
    expect(() => read(text)).toThrow(
      expect.objectContaining({ reason: 'wrong-shape', message: expect.stringMatching(message) }),
    );
  });

  it('bytes that are not UTF-8', () => {
    const bytes = bytesOf(answerXml('<value>??</value>'));
    bytes[bytes.indexOf(63, 20)] = 0xff;
    expect(() => readXmlRpc('answer', bytes)).toThrow(/not UTF-8/);
  });

  it('any part of one is truncated, wherever it is cut', () => {
    const bytes = bytesOf(
      pageXml([
        ['é', '1', 1, 'new &release', 7],
        [null, null, 2, null, 8],
      ]).trimEnd(),
    );
    for (let length = 0; length < bytes.length; length++) {
      expect(() => readXmlRpc('answer', bytes.subarray(0, length)), `${length} bytes`).toThrow(
        expect.objectContaining({ reason: 'truncated' }),
      );
    }
  });
});

function nested(depth: number): string {
  return depth === 0 ? '<value/>' : `<value><array><data>${nested(depth - 1)}</data></array></value>`;
}
