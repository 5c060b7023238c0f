import { makeCoin } from '../../../src/sources/stand-in/faults.ts';
import { nameText } from '../../../src/sources/zones/stand-in/names.ts';

/** Random values from one seed. */
export interface Dice {
  /** A whole number from `from` to `to`. */
  number(from: number, to: number): number;
  one<T>(of: readonly T[]): T;
  octets(from: number, to: number): string;
}

export function diceOf(seed: number): Dice {
  const coin = makeCoin(seed);
  const number = (from: number, to: number) => from + Math.floor(coin() * (to - from + 1));
  return {
    number,
    one: of => of[number(0, of.length - 1)]!,
    octets: (from, to) => Array.from({ length: number(from, to) }, () => String.fromCharCode(number(0, 255))).join(''),
  };
}

/** Octets between quotation marks, each of them as `\DDD`, or as itself where it may stand there. */
function quoted(octets: string): string {
  const text = Array.from(octets, octet => {
    if (octet === '"' || octet === '\\') return `\\${octet}`;
    return /[ -~]/.test(octet) ? octet : `\\${String(octet.charCodeAt(0)).padStart(3, '0')}`;
  });
  return `"${text.join('')}"`;
}

function hostName(dice: Dice): string {
  const label = () =>
    dice.one(['ns1', 'NS2', 'mail', 'a.b', 'with space', '"', 'x'.repeat(63), '*', '@', '$', '\\;()']);
  const labels = Array.from({ length: dice.number(1, 3) }, label);
  return nameText([...labels, dice.one(['example', 'Example', 'random-zone']), 'net']);
}

const ipv4 = (dice: Dice) => Array.from({ length: 4 }, () => dice.number(0, 255)).join('.');
const ipv6 = (dice: Dice) =>
  Array.from({ length: 8 }, () => dice.one([0, 0, 1, dice.number(0, 65_535)]).toString(16)).join(':');
const hex = (octets: string) => Buffer.from(octets, 'latin1').toString('hex');
const base64 = (octets: string) => Buffer.from(octets, 'latin1').toString('base64');

/** The data of a record of each type, as text. */
const DATA: Record<string, (dice: Dice) => string> = {
  NS: hostName,
  A: ipv4,
  AAAA: ipv6,
  MX: dice => `${dice.number(0, 65_535)} ${dice.one([hostName(dice), '.'])}`,
  TXT: dice =>
    Array.from({ length: dice.one([1, 1, 2, 5]) }, () => quoted(dice.octets(0, dice.one([3, 40, 255])))).join(' '),
  CAA: dice =>
    `${dice.one([0, 128, 255])} ${dice.one(['issue', 'issuewild', 'iodef', 'x1'])} ${quoted(dice.octets(0, 40))}`,
  DS: dice => `${dice.number(0, 65_535)} ${dice.number(0, 255)} ${dice.number(0, 255)} ${hex(dice.octets(1, 48))}`,
  DNSKEY: dice => `${dice.number(0, 65_535)} 3 ${dice.number(0, 255)} ${base64(dice.octets(1, 70))}`,
  // Of any form: the source does not decode it.
  HTTPS: dice => {
    const octets = dice.octets(0, 60);
    return `\\# ${octets.length} ${hex(octets)}`;
  },
};

/** A random zone's lines, a record each; some of them may be the same record. */
export function randomZone(dice: Dice): string[] {
  const ttl = () => dice.one([0, 1, 60, 3600, 2_147_483_647]);
  const lines = [`@ ${ttl()} SOA ${hostName(dice)} ${hostName(dice)} ${dice.number(0, 2 ** 32 - 1)} 2 3 4 5`];
  const add = (owner: string, type: string) => void lines.push(`${owner} ${ttl()} ${type} ${DATA[type]!(dice)}`);
  for (const type of Object.keys(DATA)) for (let count = dice.one([0, 1, 1, 2, 9]); count > 0; count--) add('@', type);
  if (dice.one([true, false])) lines.push(`www ${ttl()} CNAME ${hostName(dice)}`);
  else for (const type of ['A', 'A', 'AAAA']) add('www', type);
  if (dice.one([true, false])) add('_dmarc', 'TXT');
  add('other', 'A');
  if (dice.one([true, false])) lines.push(dice.one(lines));
  return lines;
}

/** The lines in another order, each with another TTL. */
export function shuffled(lines: string[], dice: Dice): string[] {
  const left = lines.map(line => line.replace(/^(\S+) \d+/, (_, owner) => `${owner} ${dice.number(0, 100_000)}`));
  return lines.map(() => left.splice(dice.number(0, left.length - 1), 1)[0]!);
}
