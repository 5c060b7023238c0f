const GRAPHEMES = new Intl.Segmenter('en', { granularity: 'grapheme' });
/** What a terminal shows two cells wide. */
const WIDE =
  /^(?:\p{Emoji_Presentation}|\p{Script=Han}|\p{Script=Hiragana}|\p{Script=Katakana}|\p{Script=Hangul}|[\u3000-\u303f\uff01-\uff60])/u;

/** The cells of a terminal that a text without control characters takes. */
export function widthOf(text: string): number {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: most text is ASCII and needs no look at each character.
  if (/^[\x00-\x7f]*$/.test(text)) return text.length;
  let width = 0;
  for (const { segment } of GRAPHEMES.segment(text)) width += WIDE.test(segment) ? 2 : 1;
  return width;
}

/** A text that takes at most so many cells, with a mark where it was cut. */
export function cutTo(text: string, widthMax: number): string {
  if (widthOf(text) <= widthMax) return text;
  let cut = '';
  for (const { segment } of GRAPHEMES.segment(text)) {
    if (widthOf(cut) + widthOf(segment) >= widthMax) break;
    cut += segment;
  }
  return `${cut}…`;
}
