import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';

/** A running process. `started` distinguishes two processes that had the same id one after the other. */
export interface Process {
  pid: number;
  parent: number;
  group: number;
  started: string;
  command: string;
}

/** Every running process except zombies: from /proc where there is one, else from `ps`. */
export function listProcesses(): Process[] {
  const pids = procIds();
  if (pids === null) return fromPs();
  return pids.map(fromProc).filter(found => found !== null);
}

/** The process of this id; null when none runs. */
export function findProcess(pid: number): Process | null {
  return listProcesses().find(found => found.pid === pid) ?? null;
}

/** A process and all its descendants, parents first. */
export function treeOf(pid: number): Process[] {
  const all = listProcesses();
  const tree = all.filter(found => found.pid === pid);
  for (const parent of tree) tree.push(...all.filter(found => found.parent === parent.pid));
  return tree;
}

/** The members of a process group. */
export function groupOf(group: number): Process[] {
  return listProcesses().filter(found => found.group === group);
}

/** Sends a signal to a process, if it still runs. */
export function sendSignal(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

/** Kills the processes of a runtime's group, unless the group has a process that is not a runtime's: then false. */
export function killRuntimeGroup(group: number): boolean {
  const members = groupOf(group);
  if (!members.every(member => RUNTIME_COMMAND.test(member.command))) return false;
  for (const member of members) sendSignal(member.pid, 'SIGKILL');
  return true;
}

/** The commands of a runtime: the system may give a group's id to other processes once the group has ended. */
const RUNTIME_COMMAND = /runtime[/\\]launcher\.ts|workerd|esbuild/;

/** The runtime that holds a port, which it names in its arguments; null when none does. */
export function findRuntimeOn(port: number): Process | null {
  const holds = new RegExp(`workerd serve .*:${port}(\\s|$)`);
  return listProcesses().find(({ command }) => holds.test(command)) ?? null;
}

function procIds(): number[] | null {
  try {
    const pids = readdirSync('/proc').filter(name => /^\d+$/.test(name));
    return pids.length > 0 ? pids.map(Number) : null;
  } catch {
    return null;
  }
}

function fromProc(pid: number): Process | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    const command = readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ').trim();
    // The name is in parentheses and may hold spaces and parentheses itself.
    const [state = '', parent = '', group = '', ...rest] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    if (state === 'Z' || state === 'X') return null;
    return { pid, parent: Number(parent), group: Number(group), started: rest[16] ?? '', command };
  } catch {
    // The process ended after it was listed.
    return null;
  }
}

function fromPs(): Process[] {
  const text = execFileSync('ps', ['-axo', 'pid=,ppid=,pgid=,state=,lstart=,command='], { encoding: 'utf8' });
  return text.split('\n').flatMap(line => {
    const match = /^\s*(\d+)\s+(\d+)\s+(\d+)\s+(\S+)\s+((?:\S+\s+){4}\S+)\s+(.*)$/.exec(line);
    if (match === null || match[4]!.startsWith('Z')) return [];
    const [, pid, parent, group, , started = '', command = ''] = match;
    return [{ pid: Number(pid), parent: Number(parent), group: Number(group), started, command }];
  });
}
