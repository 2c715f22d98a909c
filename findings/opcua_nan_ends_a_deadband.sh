#!/bin/sh
# One NaN, and a monitored item with a deadband never speaks again: node-opcua's server.
#
# Version:  node-opcua 2.186.4, as server and as client
# Expected: an item with an absolute deadband of 1.0 sees 0, NaN, 5, 9, 20. Whatever a server makes of the NaN itself, 5
#           is more than 1.0 away from the last number told, and so are 9 and 20: they are told.
# Seen:     after 0 nothing comes any more. The NaN becomes the value that the next ones are compared with, and no
#           difference with NaN is greater than 1.0, for ever. The same item without a NaN tells 0, 5, 9, 20.
# Matters:  a sensor's one bad conversion freezes its trend until somebody makes the subscription anew; the status stays
#           Good all the time.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
trap 'exit 2' INT TERM
cd "$folder"
HOME=$folder # node-opcua keeps its certificates in the home folder
export HOME
npm install --silent --no-audit --no-fund --no-package-lock --ignore-scripts node-opcua@2.186.4

cat > show.mjs <<'END'
import { createServer } from "net";
import { createRequire } from "module";
import * as opcua from "node-opcua";

const version = createRequire(import.meta.url)("node-opcua/package.json").version;
const pause = (ms) => new Promise((done) => setTimeout(done, ms));
const port = await new Promise((done) => {
  const one = createServer().listen(0, "127.0.0.1", () => {
    const { port } = one.address();
    one.close(() => done(port));
  });
});

const server = new opcua.OPCUAServer({
  port,
  host: "127.0.0.1",
  hostname: "127.0.0.1",
  securityPolicies: [opcua.SecurityPolicy.None],
  securityModes: [opcua.MessageSecurityMode.None],
  disableDiscovery: true,
});
await server.initialize();
const { addressSpace } = server.engine;
const space = addressSpace.getOwnNamespace();
const asset = space.addObject({ organizedBy: addressSpace.rootFolder.objects, browseName: "Asset" });
const sensor = space.addVariable({ componentOf: asset, nodeId: "s=Sensor", browseName: "Sensor", dataType: "Double" });
const set = (value) => sensor.setValueFromSource({ dataType: opcua.DataType.Double, value });
set(0);
await server.start();

const client = opcua.OPCUAClient.create({
  endpointMustExist: false,
  securityMode: opcua.MessageSecurityMode.None,
  securityPolicy: opcua.SecurityPolicy.None,
});
await client.connect(`opc.tcp://127.0.0.1:${port}`);
const session = await client.createSession();

async function told(values) {
  set(0);
  const subscription = await session.createSubscription2({ requestedPublishingInterval: 50, publishingEnabled: true });
  const item = await subscription.monitor(
    { nodeId: sensor.nodeId, attributeId: opcua.AttributeIds.Value },
    {
      samplingInterval: 50,
      queueSize: 100,
      discardOldest: true,
      filter: new opcua.DataChangeFilter({
        trigger: opcua.DataChangeTrigger.StatusValue,
        deadbandType: opcua.DeadbandType.Absolute,
        deadbandValue: 1.0,
      }),
    },
    opcua.TimestampsToReturn.Both,
  );
  const got = [];
  item.on("changed", (data) => got.push(data.value.value));
  await pause(600);
  for (const value of values) {
    set(value);
    await pause(400);
  }
  await subscription.terminate();
  return got;
}

const without = await told([5, 9, 20]);
const withNan = await told([NaN, 5, 9, 20]);
console.log("version  node-opcua", version);
console.log("expected 0, 5, 9, 20 both times (with or without a NaN between)");
console.log("seen     without a NaN:", without.join(", "), "- with one:", withNan.join(", "));
await session.close();
await client.disconnect();
await server.shutdown(0);
const same = without.join() === "0,5,9,20" && withNan.join() === "0";
if (!same) console.log("the behaviour has changed");
process.exit(same ? 0 : 1);
END
timeout 100 node show.mjs
