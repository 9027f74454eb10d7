// npm install ali-ons && cmq topic create FirstNode && node first.cjs 127.0.0.1:9876
// (this client cannot send to a topic that does not exist yet)
const { Producer, Consumer, Message } = require('ali-ons');
const quiet = { debug() {}, info() {}, warn() {}, error: console.error };
const common = { nameSrv: [process.argv[2] || '127.0.0.1:9876'], logger: quiet, httpclient: {} };

async function main() {
  const producer = new Producer({ ...common, producerGroup: 'first-producers' });
  await producer.ready();
  const sent = await producer.send(new Message('FirstNode', 'first', 'hello from Node'));
  console.log('sent:', sent.sendStatus);

  const consumer = new Consumer({ ...common, consumerGroup: 'first-node', consumeFromWhere: 'CONSUME_FROM_FIRST_OFFSET' });
  const came = new Promise(done => consumer.subscribe('FirstNode', '*', async message => done(message.body.toString())));
  await consumer.ready();
  console.log('received:', await came);
  process.exit(0); // close() would wait for the long poll
}

setTimeout(() => { console.error('nothing came within 60 s'); process.exit(1); }, 60000).unref();
main().catch(e => { console.error(e); process.exit(1); });
