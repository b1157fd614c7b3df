/** What runs on a host while it is looked at. It leaves nothing there, and ends with its standard input. */

/** A word for `sh`, whatever is in it. */
export const quoted = (text: string): string => `'${text.replaceAll("'", String.raw`'\''`)}'`;

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
}

/** The command line for ssh; facts come back as lines, key and value with a tab between them. */
export function hostCommand({ workdir, scratch, port, prelude }: HostPlan): string {
  const script = `
say() { printf '%s\\t%s\\n' "$1" "$2"; }
folder() {
  if ! cd "$2" 2>/dev/null; then say "$1" missing
  elif ! made=$(mktemp ./.troupe-XXXXXX 2>/dev/null); then say "$1" readonly
  else rm -f "$made"; say "$1" "$(df -Pk . | awk 'NR == 2 { print $4 }')"; fi
}
say user "$(id -un)"
say name "$(uname -n)"
say machine "$(cat /etc/machine-id 2>/dev/null)"
${prelude ?? ''}
say path "$PATH"
(folder workdir ${workdir === null ? '.' : quoted(workdir)})
(folder scratch ${scratch === null ? '"${TMPDIR:-/tmp}"' : quoted(scratch)})
say node "$(command -v node)"
command -v node >/dev/null || exit 0
say version "$(node --version)"
exec node -e ${quoted(program)} ${port}
`;
  return `sh -c ${quoted(script)}`;
}
