/** What a mutation draws from: numbers from 0 to below 1. */
type Coin = () => number;

/** Texts that mean something to a reader of lines. */
const PIECES = [
  '\n',
  '\r',
  '\r\n',
  '\n\n',
  '\t',
  '    ',
  ':',
  ': ',
  '::',
  '.....: ',
  '** ',
  '[',
  ']',
  '[Name] ',
  '%',
  '# ',
  '>>> ',
  '-- \n',
  'Domain: ',
  'Domain Name: other.example\n',
  'Status: free\n',
  'NOT FOUND\n',
  'limit exceeded\n',
  'if ',
  'Registrant:\n',
  'Registrar:\n',
  'Name servers:\n',
  'nic-hdl: ',
  'holder-c: ',
  'REDACTED FOR PRIVACY',
  'N/A',
  '-',
  '__proto__: ',
  'constructor: ',
  'toString: x\n',
  '\u0000',
  '\ufeff',
  '\u2028',
  '\u202e',
  'é',
  '😀',
  '例え.jp',
  '2026-02-30',
  '0000-00-00',
  '31.12.9999',
  '01/02/2026',
  'Thu, 01 Jan 1970',
  '20260101 #1',
  '99:99:99',
  'a@b',
  '@',
  'http://',
  'xn--',
  'xn--a',
  '1.2.3.4',
  '2001:db8::1',
  'a..b',
  '[Tag = X]',
  '(http://x.example)',
];

interface Draw {
  coin: Coin;
  /** Texts that pieces of are put in. */
  texts: string[];
}

/** A text with one to eight mistakes in it, as bytes that may be no text at all. */
export function mutateText(text: string, { coin, texts }: Draw): Uint8Array {
  const count = 1 + Math.floor(coin() * 8);
  const changes = [changeLines, changePiece, changePiece, cutOff, changeCase];
  let mutated = text;
  for (let i = 0; i < count; i++) mutated = pick(coin, changes)(mutated, { coin, texts });
  const bytes = new TextEncoder().encode(mutated);
  if (coin() < 0.2) for (let i = 0; i < 3 && bytes.length > 0; i++) bytes[at(coin, bytes.length)] = at(coin, 256);
  return bytes;
}

/** Takes a line away, doubles it, moves it, indents it otherwise, or puts one of another text in. */
function changeLines(text: string, { coin, texts }: Draw): string {
  const lines = text.split('\n');
  const [from, to] = [at(coin, lines.length), at(coin, lines.length)];
  const line = lines[from] ?? '';
  const other = pick(coin, pick(coin, texts).split('\n'));
  const change = pick(coin, ['drop', 'double', 'move', 'indent', 'put', 'swap value'] as const);
  if (change === 'drop' || change === 'move') lines.splice(from, 1);
  if (change === 'double' || change === 'move') lines.splice(to, 0, line);
  if (change === 'indent') lines[from] = coin() < 0.5 ? line.trimStart() : ' '.repeat(at(coin, 12)) + line;
  if (change === 'put') lines.splice(to, 0, other);
  if (change === 'swap value') lines[from] = line.replace(/:.*$/, () => `: ${other.replace(/^[^:]*:\s*/, '')}`);
  return lines.join('\n');
}

/** Puts a piece in, or in the place of some letters. */
function changePiece(text: string, { coin }: Draw): string {
  const from = at(coin, text.length + 1);
  return text.slice(0, from) + pick(coin, PIECES) + text.slice(from + (coin() < 0.5 ? 0 : at(coin, 20)));
}

function cutOff(text: string, { coin }: Draw): string {
  return coin() < 0.3 ? text.slice(0, at(coin, text.length + 1)) : text;
}

function changeCase(text: string, { coin }: Draw): string {
  return coin() < 0.2 ? (coin() < 0.5 ? text.toUpperCase() : text.toLowerCase()) : text;
}

function pick<T>(coin: Coin, values: readonly T[]): T {
  return values[at(coin, values.length)]!;
}

function at(coin: Coin, length: number): number {
  return Math.floor(coin() * length);
}
