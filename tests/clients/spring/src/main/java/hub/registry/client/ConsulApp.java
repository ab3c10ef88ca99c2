package hub.registry.client;

import org.springframework.boot.autoconfigure.EnableAutoConfiguration;
import org.springframework.context.annotation.Configuration;

/** A client of Consul by Spring Cloud Consul; see tests/clients/spring/README.md. */
@Configuration
@EnableAutoConfiguration
public class ConsulApp {

  public static void main(String[] arguments) throws Exception {
    String[] server = arguments[0].split(":");
    Program.run(
        ConsulApp.class,
        arguments,
        "spring.cloud.nacos.discovery.enabled=false",
        "spring.application.name=" + arguments[1],
        "spring.cloud.consul.host=" + server[0],
        "spring.cloud.consul.port=" + server[1],
        "spring.cloud.consul.discovery.hostname=" + arguments[2],
        "spring.cloud.consul.discovery.port=" + arguments[3],
        "spring.cloud.consul.discovery.instance-id=" + arguments[1] + "-" + arguments[3],
        "spring.cloud.consul.discovery.metadata.by=spring-consul",
        "spring.cloud.consul.discovery.heartbeat.enabled=true",
        "spring.cloud.consul.discovery.heartbeat.ttl=3s");
    // The thread that sent the heartbeats is left, and is not a daemon.
    System.exit(0);
  }
}
