// javac -cp 'lib/*' First.java && java -cp 'lib/*:.' First 127.0.0.1:9876      (lib: org.apache.rocketmq:rocketmq-client, 4.x or 5.x)
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.listener.ConsumeConcurrentlyStatus;
import org.apache.rocketmq.client.consumer.listener.MessageListenerConcurrently;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.common.consumer.ConsumeFromWhere;
import org.apache.rocketmq.common.message.Message;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;

public class First {
    public static void main(String[] args) throws Exception {
        String servers = args.length > 0 ? args[0] : "127.0.0.1:9876";

        DefaultMQProducer producer = new DefaultMQProducer("first-producers");
        producer.setNamesrvAddr(servers);
        producer.setSendMsgTimeout(10000); // a JVM on a busy machine takes its time for the first one
        producer.start();
        System.out.println("sent: " + producer.send(new Message("FirstJava", "hello from Java".getBytes("UTF-8"))).getSendStatus());

        CountDownLatch one = new CountDownLatch(1);
        DefaultMQPushConsumer consumer = new DefaultMQPushConsumer("first-java");
        consumer.setNamesrvAddr(servers);
        consumer.setConsumeFromWhere(ConsumeFromWhere.CONSUME_FROM_FIRST_OFFSET);
        consumer.subscribe("FirstJava", "*");
        consumer.registerMessageListener((MessageListenerConcurrently) (messages, context) -> {
            messages.forEach(m -> System.out.println("received: " + new String(m.getBody())));
            one.countDown();
            return ConsumeConcurrentlyStatus.CONSUME_SUCCESS;
        });
        consumer.start();
        boolean came = one.await(30, TimeUnit.SECONDS);
        consumer.shutdown();
        producer.shutdown();
        System.exit(came ? 0 : 1);
    }
}
