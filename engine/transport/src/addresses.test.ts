import type { NetworkInterfaceInfo } from 'node:os';
import test from 'ava';
import fc from 'fast-check';
import { addressesToOffer, isLinkLocal, isLoopback, placesMax, type MachineInterfaces } from './addresses.ts';

const info = (address: string, internal = false): NetworkInterfaceInfo =>
  address.includes(':')
    ? { address, netmask: 'ffff::', family: 'IPv6', mac: '', internal, cidr: `${address}/64`, scopeid: 0 }
    : { address, netmask: '255.255.255.0', family: 'IPv4', mac: '', internal, cidr: `${address}/24` };

/** A machine of a cluster that runs containers too, in an order that nobody would choose. */
const machine: MachineInterfaces = {
  lo: [info('127.0.0.1', true), info('::1', true)],
  docker0: [info('172.17.0.1'), info('fe80::42')],
  'br-9f8e': [info('172.18.0.1')],
  virbr0: [info('192.168.122.1')],
  eth1: [info('10.0.0.10'), info('10.0.0.9')],
  eth0: [info('fe80::1'), info('2001:db8::5'), info('192.0.2.7')],
  ib0: [info('10.77.0.3'), info('fd00:77::3')],
  usb0: [info('169.254.3.4')],
  down: undefined,
};

test('addresses: real interfaces before those of containers, IPv4 before IPv6, then by name', (t) => {
  t.deepEqual(addressesToOffer(machine), [
    '192.0.2.7',
    '10.0.0.9',
    '10.0.0.10',
    '10.77.0.3',
    '[2001:db8::5]',
    '[fd00:77::3]',
    '172.18.0.1',
    '172.17.0.1',
  ]);
});

test('addresses: the chosen interface first, by name or range, then the name that the launcher uses', (t) => {
  const firstOf = (choice: Parameters<typeof addressesToOffer>[1]): readonly string[] =>
    addressesToOffer(machine, choice).slice(0, 3);
  t.deepEqual(firstOf({ interface: 'ib0', name: 'gpu-3' }), ['10.77.0.3', '[fd00:77::3]', 'gpu-3']);
  t.deepEqual(firstOf({ interface: '10.0.0.0/24', name: 'gpu-3' }), ['10.0.0.9', '10.0.0.10', 'gpu-3']);
  t.deepEqual(firstOf({ interface: 'fd00::/8' }), ['[fd00:77::3]', '192.0.2.7', '10.0.0.9']);
  t.deepEqual(firstOf({ interface: '172.17.0.1/32' })[0], '172.17.0.1');
  t.deepEqual(firstOf({ name: '[2001:db8::5]' })[0], '[2001:db8::5]');
});

test('addresses: a name that means every machine is not offered', (t) => {
  for (const name of ['localhost', '127.0.0.1', '0.0.0.0', '::1', 'fe80::1%eth0'])
    t.deepEqual(addressesToOffer(machine, { name }), addressesToOffer(machine), name);
});

test('addresses: an interface that is not there is refused with those that are', (t) => {
  for (const wanted of ['ib1', '10.9.0.0/16', '10.0.0.0/33', 'usb0', 'lo', 'x/8'])
    t.throws(
      () => addressesToOffer(machine, { interface: wanted }),
      { code: 'TROUPE_TRANSPORT_ADDRESS', message: /none of this machine; .* it has eth0 192\.0\.2\.7, / },
      wanted,
    );
  t.throws(() => addressesToOffer({ lo: [info('127.0.0.1', true)] }), { message: /it has none/ });
});

test('addresses: whatever a machine has, nothing local leaves it and the order of its interfaces does not count', (t) => {
  const address = fc.oneof(
    fc.ipV4(),
    fc.ipV6(),
    fc.constantFrom('127.0.0.1', '127.9.9.9', '::1', '169.254.0.1', 'fe80::abcd', '172.17.0.1', '10.0.0.1'),
  );
  const machines = fc.dictionary(
    fc.constantFrom('lo', 'eth0', 'eth1', 'docker0', 'br-1', 'ib0', 'wlan0'),
    fc.array(address, { maxLength: 4 }),
  );
  fc.assert(
    fc.property(machines, (found) => {
      const entries = Object.entries(found).map(
        ([device, all]) => [device, all.map((each) => info(each))] as const,
      );
      const own = { eth9: [info('10.1.2.3')] };
      const offered = addressesToOffer({ ...Object.fromEntries(entries), ...own });
      t.true(offered.length >= 1 && offered.length <= placesMax);
      t.is(new Set(offered).size, offered.length);
      t.false(offered.some((host) => isLoopback(host) || isLinkLocal(host)));
      const turned = entries.toReversed().map(([device, all]) => [device, all.toReversed()]);
      t.deepEqual(addressesToOffer({ ...own, ...Object.fromEntries(turned) }), offered);
    }),
  );
});
