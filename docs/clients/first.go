// go run first.go 127.0.0.1:9876      (in a module that requires github.com/apache/rocketmq-client-go/v2)
package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/apache/rocketmq-client-go/v2"
	"github.com/apache/rocketmq-client-go/v2/consumer"
	"github.com/apache/rocketmq-client-go/v2/primitive"
	"github.com/apache/rocketmq-client-go/v2/producer"
)

func must(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func main() {
	servers := []string{"127.0.0.1:9876"}
	if len(os.Args) > 1 {
		servers = os.Args[1:]
	}
	p, err := rocketmq.NewProducer(producer.WithNameServer(servers), producer.WithGroupName("first-producers"))
	must(err)
	must(p.Start())
	sent, err := p.SendSync(context.Background(), primitive.NewMessage("FirstGo", []byte("hello from Go")))
	must(err)
	fmt.Println("sent:", sent.Status)

	came := make(chan string, 1)
	c, err := rocketmq.NewPushConsumer(consumer.WithNameServer(servers), consumer.WithGroupName("first-go"),
		consumer.WithConsumeFromWhere(consumer.ConsumeFromFirstOffset))
	must(err)
	must(c.Subscribe("FirstGo", consumer.MessageSelector{}, func(_ context.Context, messages ...*primitive.MessageExt) (consumer.ConsumeResult, error) {
		came <- string(messages[0].Body)
		return consumer.ConsumeSuccess, nil
	}))
	must(c.Start())
	select {
	case text := <-came:
		fmt.Println("received:", text)
	case <-time.After(60 * time.Second):
		must(fmt.Errorf("nothing came within 60 s"))
	}
	must(c.Shutdown())
	must(p.Shutdown())
}
