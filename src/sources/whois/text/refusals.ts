import type { Sentence } from './sentences.ts';

/** What a server counts or limits, and that it is used up. */
const LIMIT =
  'limits?|limitations?|quotas?|rates?|ratelimit|allowance|allotment|threshold|maximum|number of|(?:allowed|daily|hourly) \\w+|whois limit';
const USED_UP = 'exceeded|reached|exhausted|surpassed|used up|violated|hit|overrun|depleted';

/** The client, as a server calls it. */
const CLIENT = '(?:you|your \\w+|ip|ip address|this client|client|host|address|network|subnet|user)';
const BLOCKED =
  'blocked|black ?listed|block ?listed|banned|denied|refused|rejected|throttled|rate ?limited|suspended|barred|cut off';
const NOT_ALLOWED = '(?:not (?:permitted|allowed|authori[sz]ed)|unauthori[sz]ed|forbidden|disallowed)';
const ASKING = '(?:access|querying|connections?|quer(?:y|ies)|requests?|look ?ups?|searches|sessions?)';
const SERVICE = '(?:whois|service|server|system|database|registry|backend|gateway|resource)';

/**
 * Statements that ask a client for fewer queries, or shut it out. Each is a rule on words, because registries word the same
 * few statements in many ways. `waits` are requests to wait, in which "must" and "should" are no conditions.
 */
const REFUSALS: { pattern: RegExp; waits?: true }[] = [
  // A limit is used up.
  { pattern: new RegExp(`\\b(?:${LIMIT})\\b(?: \\S+){0,10}? (?:${USED_UP})\\b`) },
  { pattern: new RegExp(`\\b(?:${USED_UP})(?: \\S+){0,4}? (?:${LIMIT})\\b`) },
  // Terms of use speak of "exceeding the limits" and of what "exceeds" them, so these need the client before them.
  {
    pattern: new RegExp(
      `\\b(?:you|you are|your \\w+|your \\w+ is) (?:exceed|exceeds|exceeding|over)(?: \\S+){0,4}? (?:${LIMIT})\\b`,
    ),
  },
  { pattern: new RegExp(`\\b(?:${ASKING}|whois|access control|session)(?: \\S+){0,3}? (?:exceeded|exhausted)\\b`) },
  { pattern: new RegExp(`\\b${CLIENT}(?: \\S+){0,6}? exceeded\\b`) },
  { pattern: /\bquery rate of \d+\b/ },
  // Too many queries, or too soon.
  {
    pattern: new RegExp(
      `(?<!\\b(?:after|with|by|against|from|sending|making) )\\btoo (?:many|much|frequent(?:ly)?|often|fast|quickly|rapidly|short|high)\\b(?=.*\\b(?:${ASKING}|attempts|you|hits)\\b)`,
    ),
  },
  {
    pattern: new RegExp(
      `\\b(?:${ASKING}|interval|rate|you)\\b(?: \\S+){0,5}? too (?:many|much|frequent(?:ly)?|often|fast|quickly|rapidly|short|high)\\b`,
    ),
  },
  { pattern: new RegExp(`^(?:\\S+ )?excessive (?:${ASKING}|querying|use|usage|whois)\\b`) },
  // The client is shut out.
  {
    pattern: new RegExp(
      `\\b${CLIENT}\\b(?: \\S+){0,6}? (?:has|have|had|is|are|was|were|being|been|got)(?: \\S+){0,2}? (?:${BLOCKED}|(?<=been (?:\\S+ )?)(?:restricted|limited))\\b`,
    ),
  },
  {
    pattern: new RegExp(
      `\\b(?:your \\w+|this client|this ip|ip address|client|address|host)\\b(?: \\S+){0,6}? (?:is|are|was|were) ${NOT_ALLOWED}\\b`,
    ),
  },
  {
    pattern: new RegExp(
      `\\b${ASKING} (?:has been |have been |is |are |was |were )?(?:temporarily |currently |now |permanently )?(?:${BLOCKED.replace('|rate ?limited', '')})(?:$| ,| (?:for|from|to|by|because|due|until|at|as|IP|your|you|please|since|limit|temporarily|in|on|access|reason|and)\\b)`,
    ),
  },
  { pattern: /\b(?:on|in|to|by) (?:(?:the|a|an|our|my) )?(?:black|block|deny|ban) ?list\b/ },
  {
    pattern: new RegExp(
      `^(?:(?:IP|ip|client|user|you|host|address) )*(?:${BLOCKED.replace('|denied|refused|rejected', '')})(?:$| (?:by|for|because|due|until|from|,|you|temporarily|IP)\\b)`,
    ),
  },
  { pattern: /^(?:temporarily |error |err )?(?:rate ?limited|rate ?limiting|throttled|permission denied)\b/ },
  { pattern: /\baccess (?:temporarily )?(?:restricted|forbidden)(?:$| (?:for|from|to your|because|due|IP)\b)/ },
  // The service takes no queries for a time.
  {
    pattern: new RegExp(
      `\\b${SERVICE}\\b(?: \\S+){0,3}? (?:temporarily|currently|momentarily|presently|now|at the moment) (?:unavailable|not available|out of service|overloaded|disabled|down|busy|offline|suspended)\\b`,
    ),
  },
  {
    pattern: new RegExp(
      `\\b${SERVICE}\\b(?: (?:is|are|was))?(?: (?:too|very|currently|now))? (?:busy|overloaded|unavailable|over ?capacity)\\b`,
    ),
  },
  { pattern: /^(?:temporarily|currently) (?:unavailable|out of service|overloaded|not available)\b/ },
  // Nothing is left, or nothing is allowed.
  { pattern: new RegExp(`\\b(?:used (?:up )?all (?:of )?your|no more) ${ASKING}\\b`) },
  { pattern: new RegExp(`\\b${ASKING} (?:is|are) ${NOT_ALLOWED} (?:from|for|by) (?:your|this)\\b`) },
  { pattern: new RegExp(`^you are ${NOT_ALLOWED}(?: to (?:query|access|use)(?: \\S+){0,3})?$`) },
  { pattern: new RegExp(`\\b${ASKING} to(?: \\S+){1,4} (?:has|have) been (?:\\S+ )?(?:${BLOCKED}|restricted)\\b`) },
  { pattern: /^(?:denied|refused|rejected|forbidden)$/ },
  // Wait.
  { pattern: /\bagain (?:in|after) (?:\d+|one|an?)\b|\bnext (?:query|request|lookup)\b.*\bin \d+\b/, waits: true },
  {
    pattern:
      /\b(?:try|retry|come back|check back|repeat)\b(?: \S+){0,4}? (?:later|after|in \d+|in an? \w+|in one|in some|tomorrow)\b/,
    waits: true,
  },
  { pattern: /\bwait\b(?: \S+){0,3}? \d+ ?(?:s|secs?|seconds?|m|mins?|minutes?|hours?|hrs?|days?)\b/, waits: true },
  {
    pattern: /\b(?:please wait|wait (?:a|for) (?:few|while|moment|minute)|slow(?:er)? down|replenished in \d+)\b/,
    waits: true,
  },
];

/** The same statements in other languages, without accents. */
const REFUSALS_BY_LANGUAGE = [
  // Spanish, Portuguese, Italian
  /\b(?:limite|cuota|cota|quota|maximo|numero|cantidad|numero maximo)\b(?: \S+){0,6}? (?:excedid|superad|alcanzad|atingid|ultrapassad|superat|raggiunt|sobrepasad)\w+/,
  /\b(?:excedid\w|superad\w|excedio|excedeu|ultrapassou|supero|superato) (?:\S+ ){0,3}?(?:limite|cuota|cota|quota|maximo|numero)\b/,
  /\b(?:demasiad[ao]s|muitas|troppe|excesivas) (?:consultas|solicitudes|peticiones|conexiones|requisicoes|conexoes|pesquisas|richieste|interrogazioni|connessioni)\b/,
  /\b(?:acceso|acesso|accesso|ip|direccion|endereco)\b(?: \S+){0,4}? (?:denegad|negad|bloquead|recusad|negat|bloccat)\w/,
  /\b(?:intente|intentelo|tente|riprova|riprovare)\b(?: \S+){0,3}? (?:nuevamente|mas tarde|novamente|mais tarde|piu tardi)\b/,
  // French
  /\b(?:limite|quota|nombre)\b(?: \S+){0,6}? (?:depasse|atteint)\w*/,
  /\btrop de (?:requetes|connexions|demandes|recherches|interrogations)\b/,
  /\b(?:acces|adresse|ip)\b(?: \S+){0,4}? (?:refuse|bloque|interdit)\w*/,
  /\b(?:reessayer|reessayez|ressayer|patienter|patientez)\b/,
  // German, Dutch
  /\b(?:limit|kontingent|anzahl|grenze|limiet|aantal)\b(?: \S+){0,6}? (?:uberschritten|erreicht|erschopft|overschreden|bereikt)\b/,
  /\b(?:zu viele|te veel) (?:anfragen|abfragen|verbindungen|aanvragen|verzoeken|verbindingen)\b/,
  /\b(?:zugriff|zugang|ip|adresse|toegang)\b(?: \S+){0,4}? (?:verweigert|gesperrt|blockiert|geweigerd|geblokkeerd)\b/,
  /\bversuchen sie es (?:\S+ ){0,3}?(?:spater|in \d+)\b/,
  // Polish, Czech, Turkish
  /\b(?:przekroczon\w+|prekrocen\w*|zbyt (?:wiele|duzo) (?:zapytan|polaczen)|prilis mnoho (?:dotazu|pozadavku))\b/,
  /\b(?:limit|sinir|sorgu)\w*(?: \S+){0,4}? (?:asildi|astiniz|doldu)\b|\bcok fazla (?:sorgu|istek)\b/,
  // Russian, Ukrainian
  /(?:превыш|перевищ)\S+ (?:\S+ ){0,3}?(?:лимит|ліміт|количеств|кількіст|числ|частот)|(?:лимит|ліміт|квот)\S*(?: \S+){0,4}? (?:превыш|исчерпан|перевищ|вичерпан)/,
  /слишком (?:много|част)|забагато запит|(?:доступ|адрес)\S*(?: \S+){0,4}? (?:запрещ|заблокирован|заборонен|заблокован)/,
  // Chinese, Japanese, Korean
  /过于频繁|過於頻繁|太频繁|次数(?:过多|超限|已达)|超[过出].{0,8}(?:限制|上限|次数)|(?:稍后|稍後)(?:再试|重试|再試)|请求(?:过多|太多)|黑名单|间隔(?:太短|过短)/,
  /アクセス(?:回数|数)?が?(?:多すぎ|制限)|しばらく(?:して|経って|たって)から|上限に達し/,
  /(?:횟수|조회|요청).{0,10}(?:초과|제한되)|잠시 후/,
];

/** Any refusal has one of these, so that most sentences cost one search. */
const TRIGGER =
  /limit|quota|rate|allow|maximum|number|exceed|exhaust|too |excess|block|bann|list|den|refus|reject|throttl|suspend|barred|cut off|permi|authori|forbid|used|no more|again|next|unavail|avail|service|busy|overload|disabled|down|wait|try|later|replenish|come back|check back|repeat|max|cuota|cota|numero|cantidad|limite|demasiad|muitas|troppe|excesiv|acces|direccion|endereco|tente|riprov|nombre|trop|reessay|ressay|patient|anzahl|grenze|kontingent|aantal|zu viele|te veel|zugriff|zugang|toegang|versuch|przekr|prekr|zbyt|prilis|sorgu|sinir|[^\p{ASCII}]/u;

/** Words that make what follows a condition or a rule: terms of use have the same words as a refusal. */
const CONDITION =
  /\b(?:if|when|whenever|may|might|shall|could|would|will|in case|in the event|unless|until|once|upon|not (?:to )?exceed|whoever|anyone|who|whose|those|users? that|clients? that|reserves?|reserved|agree|agrees|abide|subject to|note that|any (?:use|user|client)|each|every|an? (?:client|user|host|ip|address|network)|wenn|falls|si|kann|peut|puede|pode|podra|podera|jesli|если|якщо|如果)\b/;
const OBLIGATION = /\b(?:must|should|can(?! ?not)|supposed to)\b/;

/** A condition that follows the statement at once. */
const CONDITION_AFTER =
  /^(?: (?!,|and\b)\S+){0,4}? (?:if|when|unless|in case|between|who|those|will|may|can|could|leads?|results?|causes?|(?:clients|users|hosts) (?:that|which))\b/;

/** The refusal in a text's sentences; null where there is none. */
export function findRefusal(sentences: Sentence[]): Sentence | null {
  return sentences.find(({ words }) => TRIGGER.test(words) && isRefusal(words)) ?? null;
}

function isRefusal(words: string): boolean {
  const isStated = (pattern: RegExp, waits = false) => {
    const found = pattern.exec(words);
    if (!found) return false;
    const end = found.index + found[0].length;
    const head = words.slice(0, end);
    return !CONDITION.test(head) && (waits || !OBLIGATION.test(head)) && !CONDITION_AFTER.test(words.slice(end));
  };
  return (
    REFUSALS.some(({ pattern, waits }) => isStated(pattern, waits)) ||
    REFUSALS_BY_LANGUAGE.some(pattern => isStated(pattern))
  );
}
