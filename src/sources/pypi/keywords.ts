import { textOf } from './text.ts';

/**
 * Keywords, separated by commas. Authors separate them by commas, by semicolons, or by spaces only, and some give the text
 * of a list in their language, as `['a', 'b']`.
 */
export function keywordsOf(value: unknown): string | null {
  const text = Array.isArray(value) ? value.filter(item => typeof item === 'string').join(',') : textOf(value);
  if (text === null) return null;
  const list = /^\s*[[(](.*)[\])]\s*$/s.exec(text)?.[1] ?? text;
  const separator = [',', ';'].find(mark => list.includes(mark)) ?? /\s+/;
  const keywords = list.split(separator).map(keyword => keyword.replace(/^[\s"']+|[\s"']+$/g, ''));
  return keywords.filter(keyword => keyword !== '').join(',') || null;
}
