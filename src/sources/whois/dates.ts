import { isoDay, isoTime } from '../../time.ts';

/** No server writes a longer date. */
const DATE_LENGTH_MAX = 80;

/** The first domains were registered in 1985, and none for centuries ahead: servers write other years for "no date". */
const YEAR_MIN = 1985;
const YEAR_MAX = 2200;

/** The names of each month, in lower case and without accents, in languages in which registries write dates. */
const MONTHS = [
  ['january', 'januar', 'janvier', 'enero', 'janeiro', 'gennaio', 'januari'],
  ['february', 'februar', 'fevrier', 'febrero', 'fevereiro', 'febbraio', 'februari'],
  ['march', 'marz', 'maerz', 'mars', 'marzo', 'marco', 'maart'],
  ['april', 'avril', 'abril', 'aprile'],
  ['may', 'mai', 'mayo', 'maio', 'maggio', 'mei', 'maj'],
  ['june', 'juni', 'juin', 'junio', 'junho', 'giugno'],
  ['july', 'juli', 'juillet', 'julio', 'julho', 'luglio'],
  ['august', 'aout', 'agosto', 'augustus', 'augusti'],
  ['september', 'septembre', 'septiembre', 'setembro', 'settembre'],
  ['october', 'oktober', 'octobre', 'octubre', 'outubro', 'ottobre'],
  ['november', 'novembre', 'noviembre', 'novembro'],
  ['december', 'dezember', 'decembre', 'diciembre', 'dezembro', 'dicembre', 'desember'],
];

/** Zones with one meaning (CST and IST have several), in minutes east of UTC. */
const ZONES = new Map<string, number>([
  ['z', 0],
  ['utc', 0],
  ['gmt', 0],
  ['wet', 0],
  ['cet', 60],
  ['west', 60],
  ['cest', 120],
  ['eet', 120],
  ['eest', 180],
  ['msk', 180],
  ['jst', 540],
  ['kst', 540],
]);

/** Forms of a day at the beginning of a text. `a` and `b` are day and month in unknown order. */
const DAYS = [
  /^(?<year>\d{4})(?<separator>[-/.])\s?(?<month>\d{1,2})\k<separator>\s?(?<day>\d{1,2})\.?(?![\d.])/,
  /^(?<year>\d{4})(?<month>\d\d)(?<day>\d\d)(?!\d)/,
  /^(?<year>\d{4}) ?[年년] ?(?<month>\d{1,2}) ?[月월] ?(?<day>\d{1,2}) ?[日일]/,
  /^(?<year>\d{4})[-/. ](?<name>[a-z]{3,10})\.?[-/. ](?<day>\d{1,2})(?!\d)/,
  /^(?<day>\d{1,2})(?:st|nd|rd|th)?[-/. ]\s?(?:de |of )?(?<name>[a-z]{3,10})\.?,?[-/. ](?:de |del )?(?<year>\d{4})(?!\d)/,
  /^(?<name>[a-z]{3,10})\.?[- ]{1,2}(?<day>\d{1,2})(?:st|nd|rd|th)?,?[- ](?<year>\d{4})(?!\d)/,
  // With dots the day is first: European registries write this form, and no registry writes it with the month first.
  /^(?<day>\d{1,2})\.\s?(?<month>\d{1,2})\.\s?(?<year>\d{4})(?!\d)/,
  /^(?<a>\d{1,2})(?<separator>[-/])(?<b>\d{1,2})\k<separator>(?<year>\d{4})(?!\d)/,
];

const TIME = /^[t,]?\s*(\d{1,2}):(\d{2})(?::(\d{2})(?:[.,]\d{1,9})?)?\s*([ap]m)?\s*(.*)$/;

/** The form of C's `asctime` and of `date`: the year last, an optional zone before it. */
const YEAR_LAST = /^([a-z]{3}) {1,2}(\d{1,2}) (\d{2}:\d{2}:\d{2})(?: ([a-z]{1,5}|[+-]\d{4}))? (\d{4})$/;

/** ISO 8601's basic form, and the same without the letter: `20240102T030405Z`, `20240102030405`. */
const COMPACT_TIME = /^(\d{8})t?(\d\d)(\d\d)(\d\d)?(?!\d)/;

/** The order of the parts, as some registries write it behind the date: `(YYYY-MM-DD)`, `[dd/mm/yyyy]`. */
const ORDER_HINT = /\s*[([]\s*(y{4}|m{2,3}|d{2})[-/. ]?(y{4}|m{2,3}|d{2})[-/. ]?(y{4}|m{2,3}|d{2})\b[^)\]]{0,20}[)\]]$/;

/** The order in which a server writes day and month where both are numbers before the year. */
export type DateOrder = 'day-first' | 'month-first';

/**
 * A date of an RDAP or WHOIS server as ISO 8601: `2024-01-02T03:04:05Z`, or `2024-01-02` without a time or with an unknown
 * zone. Null for any other text, for years such as 1 or 9999 that mean "no date", and for an ambiguous day (01/02/2024)
 * unless the text or `order` says which number is the day.
 */
export function isoDate(text: string, order: DateOrder | null = null): string | null {
  const { plain, hint } = plainDate(text);
  const found = matchDay(plain);
  if (!found) return null;
  // A hint that puts the day in the middle of a date with the year first has no known meaning.
  const groups = found.groups ?? {};
  if (hint === 'ydm') return null;
  const shown = hint === 'dmy' ? 'day-first' : hint === 'mdy' ? 'month-first' : order;
  const day = dayOf(groups, shown);
  if (!day) return null;
  const rest = plain.slice(found[0].length).replace(/^\.$/, '').trim();
  return rest === '' || zoneMinutes(rest) !== null ? day : withTime(day, rest);
}

/**
 * The order of day and month that one server's dates show, because a number over 12 is a day; null when no date shows one,
 * or when they contradict each other.
 */
export function orderOf(texts: Iterable<string>): DateOrder | null {
  const orders = new Set<DateOrder>();
  for (const text of texts) {
    const { a, b } = matchDay(plainDate(text).plain)?.groups ?? {};
    if (Number(a) > 12 && Number(b) <= 12) orders.add('day-first');
    if (Number(b) > 12 && Number(a) <= 12) orders.add('month-first');
  }
  return orders.size === 1 ? [...orders][0]! : null;
}

/** A text in lower case, without accents, weekday and remarks, and the letters of its order hint: `ymd`. */
function plainDate(text: string): { plain: string; hint: string | null } {
  if (text.length > DATE_LENGTH_MAX) return { plain: '', hint: null };
  const lower = text
    .trim()
    .toLowerCase()
    .replace(/[\u00c0-\u024f]/g, letter => letter.normalize('NFD').replace(/\p{M}/gu, ''))
    .replace(/\s+/g, ' ');
  const hint = ORDER_HINT.exec(lower);
  const remark = hint?.[0] ?? /\s*\([^()]*\)$/.exec(lower)?.[0] ?? '';
  // A remark in brackets is dropped unless it is the time zone.
  const bare = hint || zoneMinutes(remark.trim()) === null ? lower.slice(0, lower.length - remark.length) : lower;
  const plain = bare
    .replace(/^on /, '')
    .replace(/^(mon|tue|wed|thu|fri|sat|sun)[a-z]{0,6}\.?,? /, '')
    .replace(YEAR_LAST, (_, month, day, time, zone, year) => `${month} ${day} ${year} ${time} ${zone ?? ''}`)
    .replace(COMPACT_TIME, (_, day, hours, minutes, seconds) => `${day} ${hours}:${minutes}:${seconds ?? '00'}`)
    .trim();
  const letters =
    hint
      ?.slice(1)
      .map(part => part[0])
      .join('') ?? null;
  return { plain, hint: letters };
}

function matchDay(plain: string): RegExpExecArray | undefined {
  return DAYS.map(pattern => pattern.exec(plain)).find(match => match !== null) ?? undefined;
}

/** `2024-01-02` from the groups of a `DAYS` pattern; null when it is no day, or an ambiguous one. */
function dayOf(groups: Record<string, string | undefined>, order: DateOrder | null): string | null {
  const { year, name, a, b } = groups;
  let [day, month] = [Number(groups.day), Number(groups.month)];
  if (name !== undefined) month = monthOf(name);
  if (a !== undefined && b !== undefined) {
    const [first, second] = [Number(a), Number(b)];
    if (first <= 12 && second <= 12 && first !== second && order === null) return null;
    const isDayFirst = first > 12 || (second <= 12 && order !== 'month-first');
    [day, month] = isDayFirst ? [first, second] : [second, first];
  }
  if (Number(year) < YEAR_MIN || Number(year) > YEAR_MAX || month < 1 || month > 12) return null;
  const date = new Date(Date.UTC(Number(year), month - 1, day));
  return date.getUTCDate() === day ? isoDay(date.getTime()) : null;
}

/** The month whose names alone begin with these letters, from 1; 0 for none or several. */
function monthOf(letters: string): number {
  const months = MONTHS.flatMap((names, index) => (names.some(name => name.startsWith(letters)) ? [index + 1] : []));
  return months.length === 1 ? months[0]! : 0;
}

/** A day with the time of a text, in UTC; the day alone when the zone is unknown, null when the text is no time. */
function withTime(day: string, rest: string): string | null {
  const [, hours, minutes, seconds = '0', amPm, zone = ''] = TIME.exec(rest) ?? [];
  if (hours === undefined || Number(minutes) > 59 || Number(seconds) > 60) return null;
  if (amPm === undefined ? Number(hours) > 23 : Number(hours) < 1 || Number(hours) > 12) return null;
  const hour = amPm === undefined ? Number(hours) : (Number(hours) % 12) + (amPm === 'pm' ? 12 : 0);
  const eastMinutes = zoneMinutes(zone);
  if (eastMinutes === null) return UNKNOWN_ZONE.test(zone) ? day : null;
  const atMs =
    Date.parse(`${day}T00:00:00Z`) + ((hour * 60 + Number(minutes) - eastMinutes) * 60 + Number(seconds)) * 1000;
  return `${isoTime(atMs).slice(0, 19)}Z`;
}

/** No zone, letters with several meanings, or a region such as `Europe/Warsaw`. */
const UNKNOWN_ZONE = /^(\(?[a-z]{2,5}\)?|\(?[a-z]+\/[a-z_]+\)?)?$/;

/** Minutes east of UTC of `Z`, `+02:00`, `+0200`, `+02`, `(UTC+8)`, `JST` or `+0000 UTC`; null for an unknown zone. */
function zoneMinutes(text: string): number | null {
  const zone = text.replace(/^\((.*)\)$/, '$1');
  const named = ZONES.get(zone);
  if (named !== undefined) return named;
  const [, sign, hours, minutes = '0', name] =
    /^(?:utc|gmt)?([+-])(\d{1,2})(?::?(\d{2}))?(?: ([a-z]{3,4}))?$/.exec(zone) ?? [];
  if (sign === undefined || Number(hours) > 14 || Number(minutes) > 59) return null;
  const eastMinutes = (sign === '-' ? -1 : 1) * (Number(hours) * 60 + Number(minutes));
  return name === undefined || ZONES.get(name) === eastMinutes ? eastMinutes : null;
}
