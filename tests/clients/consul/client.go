// A client of Consul by github.com/hashicorp/consul/api; see README.md.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"log"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/hashicorp/consul/api"
)

func say(answer any) {
	text, err := json.Marshal(answer)
	check(err)
	fmt.Println(string(text))
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

func main() {
	server, name, host := os.Args[1], os.Args[2], os.Args[3]
	port, err := strconv.Atoi(os.Args[4])
	check(err)
	client, err := api.NewClient(&api.Config{Address: server})
	check(err)
	service := fmt.Sprintf("%s-%d", name, port)
	meta := map[string]string{"by": "go", "a_b": "1 < 2"}
	register := func() {
		check(client.Agent().ServiceRegister(&api.AgentServiceRegistration{
			ID: service, Name: name, Address: host, Port: port,
			Tags:  []string{"go"},
			Meta:  meta,
			Check: &api.AgentServiceCheck{TTL: "3s"},
		}))
	}
	register()
	check(client.Agent().CheckRegister(&api.AgentCheckRegistration{
		ID: "further-" + service, Name: "further", ServiceID: service,
		AgentServiceCheck: api.AgentServiceCheck{TTL: "3s", Status: "passing"},
	}))
	var status atomic.Value
	status.Store("passing")
	tell := func() error {
		if err := client.Agent().PassTTL("further-"+service, ""); err != nil {
			return err
		}
		return client.Agent().UpdateTTL("service:"+service, "", status.Load().(string))
	}
	check(tell())
	go func() {
		for range time.Tick(time.Second) {
			if err := tell(); err != nil {
				log.Print(err)
			}
		}
	}()
	find := func(wanted string, index uint64) uint64 {
		entries, meta, err := client.Health().Service(wanted, "", true, &api.QueryOptions{
			WaitIndex: index, WaitTime: 30 * time.Second,
		})
		check(err)
		found := []map[string]any{}
		for _, one := range entries {
			found = append(found, map[string]any{
				"host": one.Service.Address, "port": one.Service.Port, "metadata": one.Service.Meta,
			})
		}
		say(map[string]any{"found": found})
		return meta.LastIndex
	}
	say(map[string]bool{"ready": true})
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		words := strings.Fields(lines.Text())
		switch words[0] {
		case "find":
			find(words[1], 0)
		case "watch":
			find(words[1], find(words[1], 0))
		case "change":
			meta["said"] = words[1]
			register()
			say(map[string]bool{"changed": true})
		case "status":
			status.Store(words[1])
			check(tell())
			say(map[string]string{"status": words[1]})
		}
	}
	check(client.Agent().CheckDeregister("further-" + service))
	check(client.Agent().ServiceDeregister(service))
}
