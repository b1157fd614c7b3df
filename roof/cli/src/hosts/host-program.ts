import { shellWord } from '@troupe/core';

/** What runs on a host while it is looked at. It leaves nothing there, and ends with its standard input. */

/** Seconds that a connection between two hosts may take. */
const DIAL_SECONDS = 3;

/**
 * In the JavaScript of any Node: an old one has to say how old it is.
 *
 * It listens, says where and with which word it answers, and dials whom it is told to, a list a line.
 */
const program = `
var net = require('net'), os = require('os'), text = '';
function say(key, value) { process.stdout.write(key + '\\t' + value + '\\n'); }
var token = Math.random().toString(36).slice(2);
var server = net.createServer(function (socket) { socket.on('error', function () {}); socket.end(token); });
server.on('error', function (error) { say('portError', error.message); say('listening', ''); });
say('cores', os.cpus().length);
say('memory', os.totalmem());
server.listen(Number(process.argv[1]), function () {
  say('port', server.address().port); say('token', token); say('listening', '');
});
function dial(targets) {
  var left = targets.length;
  if (left === 0) say('dialled', '');
  targets.forEach(function (target) {
    var heard = '', isOver = false, socket = net.connect({ host: target.address, port: target.port });
    function end(how) {
      if (isOver) return;
      isOver = true;
      socket.destroy();
      say('reach', target.host + ' ' + how);
      if (--left === 0) say('dialled', '');
    }
    socket.setTimeout(${DIAL_SECONDS * 1000}, function () { end('no answer within ${DIAL_SECONDS} s'); });
    socket.on('data', function (part) { heard += part; });
    socket.on('end', function () { end(heard === target.token ? '' : 'another program answers there'); });
    socket.on('error', function (error) { end(error.code || error.message); });
  });
}
process.stdin.on('data', function (part) {
  text += part;
  for (var at = text.indexOf('\\n'); at >= 0; at = text.indexOf('\\n')) {
    dial(JSON.parse(text.slice(0, at)));
    text = text.slice(at + 1);
  }
});
process.stdin.on('end', function () { process.exit(0); });
`;

export interface HostPlan {
  /** Where a run would work there. Default: where ssh comes in. */
  readonly workdir: string | null;
  /** Where it would keep what it can do without. Default: TMPDIR, or /tmp. */
  readonly scratch: string | null;
  /** First port of a run; 0: any. */
  readonly port: number;
  /** A line of `sh` before Node is looked for: `module load node`. */
  readonly prelude: string | null;
  /** How `troupe` is called there, a line of `sh`, with the variables it gets. Default: it is not looked for. */
  readonly troupe?: { readonly command: string; readonly env: Readonly<Record<string, string>> };
}

/** Says the version of `troupe` where a run would work; nothing when it has none or does not answer. */
function versionScript({ workdir, troupe }: HostPlan): string {
  if (troupe === undefined) return '';
  const variables = Object.entries(troupe.env).map(([name, value]) => `export ${name}=${shellWord(value)}; `);
  const entered = workdir === null ? '' : `cd ${shellWord(workdir)} 2>/dev/null; `;
  return `(${entered}${variables.join('')}if said=$(${troupe.command} --version 2>/dev/null </dev/null)
then say troupe "$(printf '%s' "$said" | tail -n 1)"; else say troupe ''; fi)`;
}

/** For `sh` on a host; facts come back as lines, key and value with a tab between them. */
export function hostScript(plan: HostPlan): string {
  const { workdir, scratch, port, prelude } = plan;
  return `
say() { printf '%s\\t%s\\n' "$1" "$2"; }
folder() {
  if ! cd "$2" 2>/dev/null; then say "$1" missing
  elif ! made=$(mktemp ./.troupe-XXXXXX 2>/dev/null); then say "$1" readonly
  else rm -f "$made"; say "$1" "$(df -Pk . | awk 'NR == 2 { print $4 }')"; fi
}
say user "$(id -un)"
say name "$(uname -n)"
say machine "$(cat /etc/machine-id 2>/dev/null)"
${prelude === null ? '' : `{ ${prelude}\n} </dev/null`}
say path "$PATH"
(folder workdir ${workdir === null ? '.' : shellWord(workdir)})
(folder scratch ${scratch === null ? '"${TMPDIR:-/tmp}"' : shellWord(scratch)})
say node "$(command -v node)"
command -v node >/dev/null || exit 0
say version "$(node --version)"
${versionScript(plan)}
exec node -e ${shellWord(program)} ${port}
`;
}
