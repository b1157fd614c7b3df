"""Starts `troupe agent` on the nodes of a Ray cluster, one each. Not run by any test: Ray was not at hand when it was written.

    troupe key new ~/run.key       # the same file on all nodes
    python ray-driver.py run.yaml ~/run.key 4
"""

import os
import subprocess
import sys

import ray
from ray.util.placement_group import placement_group
from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy

topology, key, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
ray.init(address="auto")

# One bundle a node; ask for as many CPUs as a machine of the topology has threads.
group = placement_group([{"CPU": 1}] * count, strategy="STRICT_SPREAD")
ray.get(group.ready())


def on(machine):
    return PlacementGroupSchedulingStrategy(placement_group=group, placement_group_bundle_index=machine)


@ray.remote(num_cpus=0)
def address():
    return ray.util.get_node_ip_address()


# A node that is lost ends the run; started again with the same --run-dir it goes on.
@ray.remote(num_cpus=1, max_retries=0)
def agent(machine, lead):
    command = ["npx", "troupe", "agent", topology, "--machine", str(machine), "--of", str(count), "--lead", lead]
    return subprocess.run(command, env={**os.environ, "TROUPE_KEY_FILE": key}).returncode


lead = ray.get(address.options(scheduling_strategy=on(0)).remote())
codes = [agent.options(scheduling_strategy=on(machine)).remote(machine, lead) for machine in range(count)]
sys.exit(max(ray.get(codes)))
