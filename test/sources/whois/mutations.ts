/** Gives numbers from 0 to below 1. */
type Coin = () => number;

/** Texts that the reader of lines handles in a special way. */
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

/** Pieces that state that nobody has a domain. */
const ABSENCES = ['Status: free\n', 'NOT FOUND\n'];

interface Draw {
  coin: Coin;
  /** Texts of which lines are inserted. */
  texts: string[];
  /** Nothing is inserted that states an absence. */
  withoutAbsence?: boolean;
}

/** A text with one to eight mutations, as bytes that may be no valid text. */
export function mutateText(text: string, { coin, texts, withoutAbsence = false }: Draw): Uint8Array {
  const count = 1 + Math.floor(coin() * 8);
  const changes = [changeLines, changePiece, changePiece, cutOff, changeCase];
  let mutated = text;
  for (let i = 0; i < count; i++) mutated = pick(coin, changes)(mutated, { coin, texts, withoutAbsence });
  const bytes = new TextEncoder().encode(mutated);
  if (coin() < 0.2) for (let i = 0; i < 3 && bytes.length > 0; i++) bytes[below(coin, bytes.length)] = below(coin, 256);
  return bytes;
}

/** Drops, doubles, moves or indents a line, or inserts a line or value of another text. */
function changeLines(text: string, { coin, texts }: Draw): string {
  const lines = text.split('\n');
  const [from, to] = [below(coin, lines.length), below(coin, lines.length)];
  const line = lines[from] ?? '';
  const other = pick(coin, pick(coin, texts).split('\n'));
  const change = pick(coin, ['drop', 'double', 'move', 'indent', 'insert', 'swap value'] as const);
  if (change === 'drop' || change === 'move') lines.splice(from, 1);
  if (change === 'double' || change === 'move') lines.splice(to, 0, line);
  if (change === 'indent') lines[from] = coin() < 0.5 ? line.trimStart() : ' '.repeat(below(coin, 12)) + line;
  if (change === 'insert') lines.splice(to, 0, other);
  if (change === 'swap value') lines[from] = line.replace(/:.*$/, () => `: ${other.replace(/^[^:]*:\s*/, '')}`);
  return lines.join('\n');
}

/** Inserts a piece, or replaces some characters with it. */
function changePiece(text: string, { coin, withoutAbsence }: Draw): string {
  const from = below(coin, text.length + 1);
  const pieces = withoutAbsence ? PIECES.filter(piece => !ABSENCES.includes(piece)) : PIECES;
  return text.slice(0, from) + pick(coin, pieces) + text.slice(from + (coin() < 0.5 ? 0 : below(coin, 20)));
}

function cutOff(text: string, { coin }: Draw): string {
  return coin() < 0.3 ? text.slice(0, below(coin, text.length + 1)) : text;
}

function changeCase(text: string, { coin }: Draw): string {
  return coin() < 0.2 ? (coin() < 0.5 ? text.toUpperCase() : text.toLowerCase()) : text;
}

function pick<T>(coin: Coin, values: readonly T[]): T {
  return values[below(coin, values.length)]!;
}

/** A whole number from 0 to below `length`. */
function below(coin: Coin, length: number): number {
  return Math.floor(coin() * length);
}
